import { expect, test } from 'vitest';
import { networkMacs, stepCosts } from '../../lib/bench/costs.js';
import { benchNetwork } from '../../lib/bench/networks.js';
import type { Graph, GraphNode } from '../../lib/graph/graph.js';

// torchvision's own figures (in its weights' `_ops`, GFLOPS of multiply-adds at 224 × 224, without pooling's adds).
test.each([
  ['resnet18', 1.814],
  ['resnet50', 4.089],
  ['resnext50_32x4d', 4.23],
])('%s has %d billion multiply-adds', async (name, billions) => {
  const { model } = await benchNetwork(name);
  expect(networkMacs(model.graph, [1, 3, 224, 224]) / 1e9).toBeCloseTo(billions, 2);
  expect(networkMacs(model.graph, [2, 3, 224, 224])).toBe(2 * networkMacs(model.graph, [1, 3, 224, 224]));
});

const window = { kernelSize: [3, 3], padding: [1, 1], dilation: [1, 1], groups: 1 } as const;
const nodes: GraphNode[] = [
  { name: 'x', op: 'input', inputs: [], channels: 4 },
  {
    name: 'conv',
    op: 'conv2d',
    inputs: ['x'],
    inChannels: 4,
    outChannels: 8,
    stride: [2, 2],
    weight: 'w',
    ...window,
  },
  {
    name: 'bn',
    op: 'batch_norm',
    inputs: ['conv'],
    features: 8,
    eps: 1e-5,
    runningMean: 'm',
    runningVar: 'v',
  },
  { name: 'pad', op: 'zero_pad_shortcut', inputs: ['x'], stride: 2, outChannels: 8 },
  { name: 'add', op: 'add', inputs: ['bn', 'pad'] },
  { name: 'relu', op: 'relu', inputs: ['add'] },
  { name: 'pool', op: 'global_avg_pool', inputs: ['relu'] },
  { name: 'flatten', op: 'flatten', inputs: ['pool'] },
  { name: 'fc', op: 'linear', inputs: ['flatten'], inFeatures: 8, outFeatures: 10, weight: 'fw', bias: 'fb' },
];
const graph: Graph = { version: 1, nodes, aliases: {} };

test('a step comprises what was fused into it, and reads what other steps made', () => {
  // An input of 6 × 6 gives maps of 3 × 3.
  const [pad, relu, pool, fc, unknown] = stepCosts(
    graph,
    ['pad', 'relu', 'pool', 'fc', 'normalize'],
    [2, 4, 6, 6],
  );
  const [input, map] = [2 * 4 * 36, 2 * 8 * 9];
  expect(pad).toEqual({ macs: 0, bytes: 4 * (input + map) });
  expect(relu).toEqual({ macs: map * 4 * 9, bytes: 4 * (input + map + map + 8 * 4 * 9 + 2 * 8) });
  expect(pool).toEqual({ macs: 0, bytes: 4 * (map + 16) });
  expect(fc).toEqual({ macs: 2 * 80, bytes: 4 * (16 + 80 + 10 + 20) });
  expect(unknown).toEqual({ macs: 0, bytes: 0 });
});

test('an input that is too small is told', () => {
  const valid = nodes.map((node) => (node.op === 'conv2d' ? { ...node, padding: [0, 0] as const } : node));
  expect(() => networkMacs({ ...graph, nodes: valid }, [1, 4, 2, 2])).toThrow(
    expect.objectContaining({
      code: 'INVALID_SHAPE',
      message: expect.stringMatching(/^conv: .* 2×2 is too small/),
    }),
  );
});
