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
  centredCosine,
  type GoldenCase,
  type GoldenOutput,
  loadGolden,
  networkNames,
  normalise,
  relativeError,
} from './goldens.js';

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

// Of the logits, less their mean over the batch. bfloat16 has 8 bits: each rounding of a weight or an activation is off
// by up to 0.4%, and what a hundred layers in a row add up is more than what fifty do. Without shortcuts nothing carries
// the picture around the layers' errors. It is what the type allows: torch's own bfloat16 on the CPU (2.15) reaches no more,
// eager / with its batch norms folded / under autocast, and ours behind:
//   resnet101          0.9983 / 0.9988 / 0.9987   0.9990
//   resnext101_32x8d   0.9983 / 0.9988 / 0.9987   0.9989
//   resnext101_64x4d   0.9982 / 0.9987 / 0.9987   0.9989
//   wide_resnet101_2   0.9983 / 0.9988 / 0.9987   0.9989
//   resnet152          0.9949 / 0.9964 / 0.9955   0.9966
//   basic-plain        0.9972 / 0.9993 / 0.9988   0.9991
//   bottleneck-plain   0.9925 / 0.9929 / 0.9957   0.9921; in the mean of all six inputs.safetensors
//                      0.9908 / 0.9938 / 0.9938   0.9944
function bfloat16Cosine(name: string): number {
  if (name.endsWith('-plain')) return 0.99;
  if (name.includes('152')) return 0.995;
  return name.includes('101') ? 0.998 : 0.999;
}

function logitsOf({ outputs }: GoldenCase): GoldenOutput {
  return outputs.get('fc') as GoldenOutput;
}

test('the bars for bfloat16 are not reached by an answer that ignores the picture, nor by another picture’s', () => {
  for (const { cases } of goldens) {
    for (const logits of cases.map(logitsOf)) {
      const [rows = 0, columns = 0] = logits.shape;
      const first = logits.values.slice(0, columns);
      const constant = Float32Array.from(logits.values, (_, i) => first[i % columns] as number);
      expect(centredCosine(constant, logits)).toBe(0);
      const swapped = Float32Array.from(
        logits.values,
        (_, i) => logits.values[(i + columns) % (rows * columns)] as number,
      );
      expect(centredCosine(swapped, logits)).toBeLessThan(0.9);
      expect(centredCosine(logits.values, logits)).toBeCloseTo(1, 12);
    }
  }
});

describe.each(goldens)('$name', ({ name, recipe, makeState, cases }) => {
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

  test('logits in bfloat16 tell the pictures apart as torch’s in float64 do', async () => {
    const model = await build(recipe);
    await loadStateDict(model, makeState());
    const session = await model.compile({ device: 'cpu', dtype: 'bfloat16' });
    try {
      for (const golden of cases) {
        const { logits } = await session.run(Tensor.fromUint8(golden.pixels, golden.shape));
        const cosine = centredCosine(logits?.data as Float32Array, logitsOf(golden));
        expect(cosine, golden.input).toBeGreaterThanOrEqual(bfloat16Cosine(name));
      }
    } finally {
      await session.close();
    }
  });
});
