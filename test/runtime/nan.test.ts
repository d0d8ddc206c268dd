import { afterAll, describe, expect, it, vi } from 'vitest';
import { BasicBlock, Bottleneck, ResNet } from '../../lib/models/resnet.js';
import { type ComputeDType, compileModel } from '../../lib/runtime/compile.js';
import { Tensor } from '../../lib/tensor.js';
import { SIMULATED_LIBRARY, WHY_NO_SIMULATION } from './simulated-cuda.js';

// A NaN goes through every layer, fused ReLUs too, as in torch; and never into the images beside its own.

// Before the addon is asked for a device.
vi.stubEnv('RESNET_NATIVE_CUDA_LIBRARY', SIMULATED_LIBRARY);
afterAll(() => void vi.unstubAllEnvs());

const SIZE = 32;
const CLASSES = 7;
const IMAGES = 3;

/** Three images, of which the second has a NaN. */
function images(): Tensor {
  const pixels = Float32Array.from({ length: IMAGES * 3 * SIZE * SIZE }, (_, i) => Math.sin(i));
  pixels[3 * SIZE * SIZE + 517] = Number.NaN;
  return Tensor.fromFloat32(pixels, [IMAGES, 3, SIZE, SIZE]);
}

const networks = {
  'ResNet of basic blocks': () => new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: CLASSES }),
  'ResNeXt of bottlenecks': () =>
    new ResNet(Bottleneck, [1, 1, 1, 1], { numClasses: CLASSES, groups: 4, widthPerGroup: 16 }),
};

const devices: [device: string, dtypes: readonly ComputeDType[], whyNot: string][] = [
  ['reference', ['float32'], ''],
  ['cpu', ['float32', 'bfloat16'], ''],
  ['cuda', ['float32', 'tf32', 'float16', 'bfloat16'], WHY_NO_SIMULATION],
];

for (const [device, dtypes, whyNot] of devices) {
  describe.skipIf(whyNot !== '')(`NaN on ${device}${whyNot}`, () => {
    for (const [name, make] of Object.entries(networks)) {
      it.each(dtypes)(`reaches all logits of its image in a ${name}: %s`, async (dtype) => {
        const session = await compileModel(make(), { device, dtype, maxBatch: IMAGES });
        const { logits } = await session.run(images());
        await session.close();
        const bad = Array.from({ length: IMAGES }, (_, image) => {
          const row = logits?.data.subarray(image * CLASSES, (image + 1) * CLASSES) ?? [];
          return row.filter(Number.isNaN).length;
        });
        expect(bad).toEqual([0, CLASSES, 0]);
      });
    }
  });
}
