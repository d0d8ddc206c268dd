import { expect, test } from 'vitest';
import { benchNetwork, benchNetworkNames } from '../../lib/bench/networks.js';
import type { BatchNormNode } from '../../lib/graph/graph.js';
import { Random } from '../../lib/nn/random.js';
import { compileModel } from '../../lib/runtime/compile.js';
import { Tensor } from '../../lib/tensor.js';

test('the ten builders and a small one', () => {
  expect(benchNetworkNames()).toHaveLength(11);
  expect(benchNetworkNames()).toContain('cifar-resnet20');
});

test('parameters are the same each time', async () => {
  const [first, second] = [await benchNetwork('cifar-resnet20'), await benchNetwork('cifar-resnet20')];
  for (const [key, { data }] of first.model.parameters) {
    expect(second.model.parameters.get(key)?.data, key).toEqual(data);
  }
});

test('an unknown name is refused, with the nearest', async () => {
  const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/did you mean "resnet50"/) };
  await expect(benchNetwork('resnet5O')).rejects.toThrow(expect.objectContaining(refusal));
});

// Activations that vanish, overflow or are the same for all images would be another task than those of trained networks.
test.each(['cifar-resnet20', 'resnet50', 'resnext50_32x4d'])(
  'activations of %s are like a trained network’s',
  async (name) => {
    const { model } = await benchNetwork(name);
    const norms = model.graph.nodes.filter((node): node is BatchNormNode => node.op === 'batch_norm');
    const session = await compileModel(model, { device: 'cpu', outputs: norms.map((node) => node.name) });
    try {
      const pixels = new Float32Array(2 * 3 * 64 * 64);
      new Random(0, 0).fillNormal(pixels, 1);
      const results = await session.run(Tensor.fromFloat32(pixels, [2, 3, 64, 64]));
      const values = norms.map(({ name }) => [name, results[name]?.data as Float32Array] as const);
      for (const [name, data] of values) {
        const meanSquare = data.reduce((sum, value) => sum + value * value, 0) / data.length;
        expect(meanSquare, name).toBeGreaterThan(0.2);
        expect(meanSquare, name).toBeLessThan(5);
      }
    } finally {
      await session.close();
    }
  },
);
