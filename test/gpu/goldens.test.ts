import { describe, expect, test } from 'vitest';
import { getModel, loadStateDict, Tensor } from '../../lib/index.js';
import type { ComputeDType } from '../../lib/runtime/compile.js';
import { type GoldenCase, loadGolden, networkNames, relativeError } from '../golden/goldens.js';
import { gpu, whyNoGpu } from './gpu.js';

// torchvision's ten builders on a GPU, in every dtype, against torch in float64.

// Worst |difference| / worst |expected| of the logits.
const RELATIVE = { float32: 5e-6, tf32: 2e-3 } as const;
// Least cosine of the logits less their mean over the batch, which is most of them: what is left tells pictures apart.
const COSINE = { float16: 0.9999, bfloat16: 0.999, int8: 0.99 } as const;

const builders = networkNames.filter((name) => !name.includes('-') && /^(wide_)?resne[tx]/.test(name));
const dtypes: readonly ComputeDType[] = ['float32', 'tf32', 'float16', 'bfloat16', 'int8'];

test('there are goldens of ten builders', () => {
  expect(builders).toHaveLength(10);
});

describe.skipIf(!gpu)(`goldens on a GPU ${whyNoGpu}`, () => {
  for (const dtype of dtypes) {
    const without = gpu && !gpu.dtypes.includes(dtype) ? ` (not in ${dtype} here)` : '';
    test.skipIf(without).for(builders)(`%s in ${dtype}${without}`, async (name) => {
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
});

function expectLogits(logits: Float32Array, golden: GoldenCase, dtype: ComputeDType) {
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

type Rows = Float32Array | Float64Array;

function centredCosine(a: Rows, b: Rows, rows: number): number {
  const [x, y] = [centred(a, rows), centred(b, rows)];
  const dot = (p: Float64Array, q: Float64Array) =>
    p.reduce((sum, value, i) => sum + value * (q[i] as number), 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

/** Each column less its mean over the rows. */
function centred(values: Rows, rows: number): Float64Array {
  const columns = values.length / rows;
  const result = Float64Array.from(values);
  for (let column = 0; column < columns; column++) {
    let mean = 0;
    for (let row = 0; row < rows; row++) mean += (values[row * columns + column] as number) / rows;
    for (let row = 0; row < rows; row++)
      result[row * columns + column] = (result[row * columns + column] as number) - mean;
  }
  return result;
}

function classesOf(values: Rows, rows: number): number[] {
  const columns = values.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const logits = values.subarray(row * columns, (row + 1) * columns);
    return logits.indexOf(Math.max(...logits));
  });
}
