import { describe, expect, test } from 'vitest';
import { getModel, loadStateDict, Tensor } from '../../lib/index.js';
import { centredCosine } from '../golden/agreement.js';
import { type GoldenCase, loadGolden, networkNames, relativeError } from '../golden/goldens.js';
import {
  agreementOf,
  INT8_AGREEMENT,
  INT8_COSINE,
  INT8_NETWORKS,
  quantizedGolden,
} from '../golden/quantized.js';
import { gpu, whyNoGpu } from './gpu.js';

// torchvision's ten builders on a GPU, in every dtype, against torch in float64.

// Worst |difference| / worst |expected| of the logits.
const RELATIVE = { float32: 5e-6, tf32: 2e-3 } as const;
// Least cosine of the logits less their mean over the batch, which is most of them: what is left tells pictures apart.
const COSINE = { float16: 0.9999, bfloat16: 0.999 } as const;

// cuDNN compiles each plan of int8 that is timed.
const INT8_TIMEOUT_MS = 400_000;

const builders = networkNames.filter((name) => !name.includes('-') && /^(wide_)?resne[tx]/.test(name));
const dtypes = ['float32', 'tf32', 'float16', 'bfloat16'] as const;

test('there are goldens of ten builders', () => {
  expect(builders).toHaveLength(10);
});

describe.skipIf(!gpu)(`goldens on a GPU ${whyNoGpu}`, () => {
  for (const dtype of dtypes) {
    test.for(builders)(`%s in ${dtype}`, async (name) => {
      const { cases, makeState } = await loadGolden(name);
      const model = await getModel(name);
      await loadStateDict(model, makeState());
      const session = await model.compile({ device: 'cuda', dtype, maxBatch: 8 });
      try {
        for (const golden of cases) {
          const { logits } = await session.run(Tensor.fromUint8(golden.pixels, golden.shape));
          expectLogits(logits?.data as Float32Array, golden, dtype);
        }
      } finally {
        await session.close();
      }
    });
  }

  test.for(builders)('%s in int8', { timeout: INT8_TIMEOUT_MS }, async (name, { annotate }) => {
    const { quantized, pictures } = await quantizedGolden(name);
    const session = await quantized.compile({ device: 'cuda', dtype: 'int8', maxBatch: 8 });
    const { cosine, agreement, logits } = await agreementOf(session, pictures);
    await session.close();
    const cpu = await quantized.compile({ device: 'cpu', dtype: 'int8' });
    const exact = await agreementOf(cpu, pictures);
    await cpu.close();
    const likeCpu = centredCosine(logits, exact.logits, pictures.shape[0]);
    await annotate(`cosine with torch ${cosine.toFixed(4)}, with the exact arithmetic ${likeCpu.toFixed(4)}`);
    // A library's kernels may be off by one step of a byte, here and there.
    expect(likeCpu, 'cosine with the exact arithmetic').toBeGreaterThanOrEqual(INT8_COSINE);
    if (!INT8_NETWORKS.includes(name)) return;
    expect(cosine, 'cosine of centred logits').toBeGreaterThanOrEqual(INT8_COSINE);
    expect(agreement, 'agreement of the best class').toBeGreaterThanOrEqual(INT8_AGREEMENT);
  });
});

function expectLogits(logits: Float32Array, golden: GoldenCase, dtype: (typeof dtypes)[number]) {
  const expected = golden.outputs.get('fc');
  if (!expected) throw new Error(`${golden.input} has no golden logits`);
  if (dtype === 'float32' || dtype === 'tf32') {
    expect(relativeError(logits, expected), 'relative error').toBeLessThanOrEqual(RELATIVE[dtype]);
    return;
  }
  const [images] = golden.shape;
  if (images > 1) {
    const cosine = centredCosine(logits, expected.values, images);
    expect(cosine, 'cosine of centred logits').toBeGreaterThanOrEqual(COSINE[dtype]);
  }
  expect(classesOf(logits, images), 'the best class of each picture').toEqual(
    classesOf(expected.values, images),
  );
}

function classesOf(values: Float32Array | Float64Array, rows: number): number[] {
  const columns = values.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const logits = values.subarray(row * columns, (row + 1) * columns);
    return logits.indexOf(Math.max(...logits));
  });
}
