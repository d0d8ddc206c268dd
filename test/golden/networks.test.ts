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
import { type GoldenCase, loadGolden, networkNames, normalise, relativeError } from './goldens.js';

// The whole path against torch in float64: seeded parameters, through state dict, trace, passes and kernels.

// Worst |difference| / worst |expected| that each way of computing may show; torch's float32 shows up to 1.7e-6. Direct
// convolution sums up to 9,216 products in one chain; Winograd's transforms round more often. Features of deep
// layers show more than the logits, because the average over pixels evens errors out; most do in the plain networks.
const DIRECT = { memory: 'low', logits: 5e-6, features: 2e-5 } as const;
const FASTEST = { memory: 'auto', logits: 2e-5, features: 2e-5 } as const;

const goldens = await Promise.all(networkNames.map(loadGolden));

async function build(recipe: (typeof goldens)[number]['recipe']): Promise<ResNet> {
  if ('builder' in recipe) return getModel(recipe.builder);
  const block = { BasicBlock, Bottleneck }[recipe.block];
  return new ResNet(block, recipe.layers, recipe.options as ResNetOptions);
}

/** The logits and the features with goldens, held against them. */
async function expectGolden(
  session: Session,
  input: Tensor,
  golden: GoldenCase,
  bars: typeof DIRECT | typeof FASTEST,
) {
  const results = await session.run(input);
  for (const [node, expected] of golden.outputs) {
    const { data, shape } = results[node] as Tensor<Float32Array>;
    expect(shape, node).toEqual(expected.shape);
    const bar = node === 'fc' ? bars.logits : bars.features;
    expect(relativeError(data, expected), `${node}, relative error`).toBeLessThanOrEqual(bar);
  }
  expect(golden.constantError, 'an answer that ignores the picture').toBeGreaterThan(1000 * bars.logits);
  expect(results.logits).toEqual(results.fc);
}

describe.each(goldens)('$name', ({ recipe, makeState, cases }) => {
  test.each([DIRECT, FASTEST])(
    'logits and features equal torch’s in float64, memory: $memory',
    async (bars) => {
      const model = await build(recipe);
      const report = await loadStateDict(model, makeState());
      expect(report).toMatchObject({ missing: [], unexpected: [], mismatched: [] });
      const nodes = new Set(cases.flatMap(({ outputs }) => [...outputs.keys()]));
      const session = await model.compile({
        device: 'cpu',
        memory: bars.memory,
        outputs: ['logits', ...nodes],
      });
      try {
        for (const golden of cases) {
          const [n, h, w, c] = golden.shape;
          const normalised = Tensor.fromFloat32(normalise(golden.pixels, golden.shape), [n, c, h, w]);
          await expectGolden(session, normalised, golden, bars);
          await expectGolden(session, Tensor.fromUint8(golden.pixels, golden.shape), golden, bars);
        }
      } finally {
        await session.close();
      }
    },
  );
});
