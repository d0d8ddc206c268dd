import { describe, expect, test } from 'vitest';
import {
  BasicBlock,
  Bottleneck,
  getModel,
  loadStateDict,
  ResNet,
  type ResNetOptions,
  type Session,
  Tensor,
} from '../../lib/index.js';
import {
  type GoldenCase,
  type GoldenOutput,
  loadGolden,
  networkNames,
  normalise,
  relativeError,
} from './goldens.js';

// The whole path against torch in float64: seeded parameters, through state dict, trace, passes and kernels.

// Float32 sums of up to 4,608 products in the layers' own order; torch's float32 reaches 1.7e-6 on the worst of them.
const TOLERANCE = 5e-6;

const goldens = await Promise.all(networkNames.map(loadGolden));

async function build(recipe: (typeof goldens)[number]['recipe']): Promise<ResNet> {
  if ('builder' in recipe) return getModel(recipe.builder);
  const block = { BasicBlock, Bottleneck }[recipe.block];
  return new ResNet(block, recipe.layers, recipe.options as ResNetOptions);
}

/** The logits and the features with goldens, held against them. */
async function expectGolden(session: Session, input: Tensor, golden: GoldenCase): Promise<void> {
  const results = await session.run(input);
  for (const [node, expected] of golden.outputs) {
    const { data, shape } = results[node] as Tensor<Float32Array>;
    expect(shape, node).toEqual(expected.shape);
    expect(relativeError(data, expected), `${node}, relative error`).toBeLessThanOrEqual(TOLERANCE);
  }
  const logits = golden.outputs.get('fc') as GoldenOutput;
  expect(golden.constantError, 'an answer that ignores the picture').toBeGreaterThan(1000 * TOLERANCE);
  expect(results.logits?.data).toEqual(results.fc?.data);
  expect(results.logits?.shape).toEqual(logits.shape);
}

describe.each(goldens)('$name', ({ recipe, makeState, cases }) => {
  test('logits and features equal torch’s in float64', async () => {
    const model = await build(recipe);
    const report = await loadStateDict(model, makeState());
    expect(report).toMatchObject({ missing: [], unexpected: [], mismatched: [] });
    const nodes = new Set(cases.flatMap(({ outputs }) => [...outputs.keys()]));
    const session = await model.compile({ device: 'cpu', outputs: ['logits', ...nodes] });
    try {
      for (const golden of cases) {
        await expectGolden(session, Tensor.fromUint8(golden.pixels, golden.shape), golden);
        const [n, h, w, c] = golden.shape;
        await expectGolden(
          session,
          Tensor.fromFloat32(normalise(golden.pixels, golden.shape), [n, c, h, w]),
          golden,
        );
      }
    } finally {
      await session.close();
    }
  });
});
