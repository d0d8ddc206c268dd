import { afterAll, describe, expect, it, vi } from 'vitest';
import {
  BasicBlock,
  Bottleneck,
  type CompileOptions,
  type ComputeDType,
  type Model,
  quantizeModel,
  ResNet,
  Tensor,
} from '../../lib/index.js';
import { compileModel } from '../../lib/runtime/compile.js';
import { SIMULATED_LIBRARY, WHY_NO_SIMULATION } from './simulated-cuda.js';

// A NaN goes through every layer, fused ReLUs too, as in torch; and never into the images beside its own. int8 has none:
// calibration refuses it (quantization.test.ts), and in an image it is the lowest value.

// Before the addon is asked for a device.
vi.stubEnv('RESNET_NATIVE_CUDA_LIBRARY', SIMULATED_LIBRARY);
afterAll(() => void vi.unstubAllEnvs());

const SIZE = 32;
const CLASSES = 7;
const IMAGES = 3;
const ALL_CLASSES = Array.from({ length: CLASSES }, (_, index) => index);

/** Three images, of which the second has this value in it. */
function images(value: number): Tensor {
  const pixels = Float32Array.from({ length: IMAGES * 3 * SIZE * SIZE }, (_, i) => Math.sin(i));
  pixels[3 * SIZE * SIZE + 517] = value;
  return Tensor.fromFloat32(pixels, [IMAGES, 3, SIZE, SIZE]);
}

async function logitsOf(model: Model, options: CompileOptions, input: Tensor): Promise<Float32Array> {
  await using session = await compileModel(model, { ...options, maxBatch: IMAGES });
  return (await session.run(input)).logits?.data as Float32Array;
}

/** Which logits of each image are NaN. */
function classesWithNaN(logits: Float32Array): number[][] {
  return Array.from({ length: IMAGES }, (_, image) => {
    const row = [...logits.subarray(image * CLASSES, (image + 1) * CLASSES)];
    return row.flatMap((logit, index) => (Number.isNaN(logit) ? [index] : []));
  });
}

/** The model with a NaN as that element of a parameter. */
function withNaN(model: ResNet, key: string, index: number): ResNet {
  const parameter = model.stateDict().get(key)?.data as Float32Array;
  parameter[index] = Number.NaN;
  return model;
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
      it.each(dtypes)(`in an image reaches all its logits in a ${name}: %s`, async (dtype) => {
        const logits = await logitsOf(make(), { device, dtype }, images(Number.NaN));
        expect(classesWithNaN(logits)).toEqual([[], ALL_CLASSES, []]);
      });

      it.each(dtypes)(`in a filter reaches all logits of a ${name}: %s`, async (dtype) => {
        const model = withNaN(make(), 'layer2.0.conv1.weight', 20);
        const logits = await logitsOf(model, { device, dtype }, images(0));
        expect(classesWithNaN(logits)).toEqual([ALL_CLASSES, ALL_CLASSES, ALL_CLASSES]);
      });

      it.each(dtypes)(`in the weights of a class reaches that alone in a ${name}: %s`, async (dtype) => {
        const model = make();
        const features = model.stateDict().get('fc.weight')?.shape[1] as number;
        const logits = await logitsOf(
          withNaN(model, 'fc.weight', 2 * features + 5),
          { device, dtype },
          images(0),
        );
        expect(classesWithNaN(logits)).toEqual([[2], [2], [2]]);
      });
    }
  });
}

describe.each(['cpu', 'reference'])('NaN in int8 on %s', (device) => {
  it.each(Object.entries(networks))('is the lowest value in an image, in a %s', async (_, make) => {
    const model = await quantizeModel(make(), images(0));
    const options = { device, dtype: 'int8' } as const;
    const lowest = await logitsOf(model, options, images(Number.NEGATIVE_INFINITY));
    expect(classesWithNaN(lowest)).toEqual([[], [], []]);
    expect(await logitsOf(model, options, images(Number.NaN))).toEqual(lowest);
    expect(await logitsOf(model, options, images(0))).not.toEqual(lowest);
  });
});
