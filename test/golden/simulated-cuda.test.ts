import { afterAll, describe, expect, test, vi } from 'vitest';
import { getModel, loadStateDict, type Session, Tensor } from '../../lib/index.js';
import type { ComputeDType } from '../../lib/runtime/compile.js';
import { SIMULATED_LIBRARY, WHY_NO_SIMULATION } from '../runtime/simulated-cuda.js';
import { type GoldenCase, type GoldenOutput, loadGolden, networkNames, relativeError } from './goldens.js';
import { agreementOf, INT8_AGREEMENT, INT8_COSINE, quantizedGolden } from './quantized.js';

// torchvision's builders through the CUDA backend's own plan, memory and contexts, on a simulated GPU that checks every
// address. How fast it is, and what cuDNN computes, is for a machine with a GPU.

// Before the addon is loaded, which reading the goldens does.
vi.stubEnv('RESNET_NATIVE_CUDA_LIBRARY', SIMULATED_LIBRARY);
afterAll(() => void vi.unstubAllEnvs());

const builders = (await Promise.all(networkNames.map(loadGolden))).filter(
  ({ recipe }) => 'builder' in recipe,
);

async function compile(name: string, dtype: ComputeDType): Promise<{ session: Session; golden: GoldenCase }> {
  const network = builders.find((builder) => builder.name === name);
  const model = await getModel(name);
  await loadStateDict(model, network?.makeState() ?? new Map());
  const session = await model.compile({ device: 'cuda', dtype, maxBatch: 1, contexts: 1 });
  return { session, golden: network?.cases[0] as GoldenCase };
}

/** The logits of the first image, and what they should be. */
async function firstLogits({ pixels, shape, outputs }: GoldenCase, session: Session) {
  const [n, h, w, c] = shape;
  const { logits } = await session.run(Tensor.fromUint8(pixels.subarray(0, pixels.length / n), [1, h, w, c]));
  const all = outputs.get('fc') as GoldenOutput;
  const classes = all.shape[1] as number;
  const expected = { shape: [1, classes], stride: 1, values: all.values.subarray(0, classes) };
  return { actual: logits?.data as Float32Array, expected };
}

describe.skipIf(WHY_NO_SIMULATION !== '')(`on a simulated GPU${WHY_NO_SIMULATION}`, () => {
  test.each(builders)('$name in float32 equals torch in float64', async ({ name }) => {
    const { session, golden } = await compile(name, 'float32');
    expect(session.device).toBe('cuda:0');
    const { actual, expected } = await firstLogits(golden, session);
    expect(relativeError(actual, expected)).toBeLessThanOrEqual(5e-6);
    await session.close();
  });

  // Rounded some twenty times in a row; each rounding is half a unit of the last of 11 or 8 bits.
  test.each([['float16', 0.01] as const, ['bfloat16', 0.08] as const])(
    'resnet18 in %s',
    async (dtype, bar) => {
      const { session, golden } = await compile('resnet18', dtype);
      const { actual, expected } = await firstLogits(golden, session);
      const error = relativeError(actual, expected);
      expect(error).toBeLessThanOrEqual(bar);
      expect(error).toBeGreaterThan(1e-5); // it did compute in that type
      await session.close();
    },
  );

  test.each(['resnet18', 'resnet50', 'resnext50_32x4d'])(
    '%s in int8 is within the gate, and to the bit what the CPU gives',
    async (name) => {
      const { quantized, pictures } = await quantizedGolden(name);
      const session = await quantized.compile({ device: 'cuda', dtype: 'int8', maxBatch: 4, contexts: 1 });
      const { cosine, agreement, logits } = await agreementOf(session, pictures);
      await session.close();
      expect(cosine).toBeGreaterThanOrEqual(INT8_COSINE);
      expect(agreement).toBeGreaterThanOrEqual(INT8_AGREEMENT);
      const cpu = await quantized.compile({ device: 'cpu', dtype: 'int8' });
      expect(logits).toEqual((await agreementOf(cpu, pictures)).logits);
      await cpu.close();
    },
  );
});
