import { describe, expect, test } from 'vitest';
import type { Graph, GraphNode } from '../../lib/graph/graph.js';
import { toOnnx } from '../../lib/graph/onnx.js';
import type { ParameterValues } from '../../lib/graph/parameters.js';
import { BasicBlock, Bottleneck, ResNet } from '../../lib/models/resnet.js';
import { type ReadModel, type ReadNode, readOnnx } from './onnx-reader.js';

const small = () => new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 10 });
const cifar = (options = {}) =>
  new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', numClasses: 10, ...options });

function counts(model: ReadModel): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const { type } of model.nodes) counted[type] = (counted[type] ?? 0) + 1;
  return counted;
}

function nodeOf(model: ReadModel, name: string): ReadNode {
  const node = model.nodes.find((candidate) => candidate.name === name);
  if (!node) throw new Error(`No node ${name}`);
  return node;
}

/** Every input is an initializer, the file's input or an earlier node's output, and no two tensors share a name. */
function expectSound(model: ReadModel): void {
  const known = new Set([...model.inputs.map((input) => input.name), ...model.initializers.keys()]);
  expect(known.size).toBe(model.inputs.length + model.initializers.size);
  for (const node of model.nodes) {
    expect(node.inputs.filter((input) => !known.has(input))).toEqual([]);
    for (const output of node.outputs) {
      expect(known).not.toContain(output);
      known.add(output);
    }
  }
  expect(model.outputs.filter((output) => !known.has(output.name))).toEqual([]);
}

function bytesOf(data: ArrayBufferView | undefined): Buffer {
  return data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.alloc(0);
}

describe('a network', () => {
  const model = readOnnx(toOnnx(small()));

  test('has the operators of its graph', () => {
    expect(counts(model)).toEqual({
      Conv: 12,
      BatchNormalization: 12,
      Relu: 9,
      MaxPool: 1,
      Add: 4,
      GlobalAveragePool: 1,
      Flatten: 1,
      Gemm: 1,
      Identity: 1,
    });
    expectSound(model);
  });

  test('takes any batch, height and width', () => {
    expect(model.inputs).toEqual([{ name: 'input', shape: ['batch', 3, 'height', 'width'] }]);
    expect(model.outputs).toEqual([{ name: 'logits', shape: ['batch', 10] }]);
  });

  test('has the attributes of its layers', () => {
    expect(nodeOf(model, 'conv1').attributes).toEqual({
      kernel_shape: [7, 7],
      strides: [2, 2],
      pads: [3, 3, 3, 3],
      dilations: [1, 1],
      group: 1,
    });
    expect(nodeOf(model, 'maxpool').attributes).toEqual({
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      dilations: [1, 1],
    });
    expect(nodeOf(model, 'bn1').attributes).toEqual({ epsilon: Math.fround(1e-5) });
    expect(nodeOf(model, 'fc').attributes).toEqual({ transB: 1 });
  });

  test.each([
    [13, 7],
    [17, 8],
  ] as const)('opset %i', (opset, irVersion) => {
    expect(readOnnx(toOnnx(small(), { opset }))).toMatchObject({ opset, irVersion });
  });

  test('has its parameters, bit for bit', () => {
    const network = small();
    const { initializers } = readOnnx(toOnnx(network));
    const parameters = [...network.parameters];
    expect([...initializers.keys()].sort()).toEqual(parameters.map(([key]) => key).sort());
    for (const [key, { shape, data }] of parameters) {
      const written = initializers.get(key);
      expect(written?.shape).toEqual(shape);
      // Not by toEqual, which takes half a minute over millions of values.
      expect(bytesOf(written?.data).equals(bytesOf(data)), key).toBe(true);
    }
  });
});

test('groups and dilation', () => {
  const network = new ResNet(Bottleneck, [1, 1, 1, 1], {
    groups: 32,
    widthPerGroup: 4,
    replaceStrideWithDilation: [false, true, true],
  });
  const model = readOnnx(toOnnx(network));
  expect(nodeOf(model, 'layer4.0.conv2').attributes).toMatchObject({
    group: 32,
    dilations: [2, 2],
    pads: [2, 2, 2, 2],
  });
  expectSound(model);
});

test('option A is a slice and a pad', () => {
  const model = readOnnx(toOnnx(cifar({ shortcut: 'zero-pad' })));
  expect(counts(model)).toMatchObject({ Slice: 2, Pad: 2 });
  const slice = model.nodes.find((node) => node.type === 'Slice') as ReadNode;
  const pad = model.nodes.find((node) => node.type === 'Pad') as ReadNode;
  const constants = [...slice.inputs, ...pad.inputs]
    .slice(1)
    .map((name) => model.initializers.get(name)?.data);
  expect(constants.filter((data) => data !== undefined)).toEqual([
    BigInt64Array.of(0n, 0n),
    BigInt64Array.of(2n ** 31n - 1n, 2n ** 31n - 1n),
    BigInt64Array.of(2n, 3n),
    BigInt64Array.of(2n, 2n),
    BigInt64Array.of(0n, 0n, 0n, 0n, 0n, 16n, 0n, 0n),
  ]);
  expectSound(model);
});

describe('outputs', () => {
  test('have the names that were asked for, and nothing behind them is in the file', () => {
    const model = readOnnx(toOnnx(small(), { outputs: ['layer2', 'layer1.0.relu_1', 'x'] }));
    expect(model.outputs).toEqual([
      { name: 'layer2', shape: ['batch', 128, 'layer2.height', 'layer2.width'] },
      { name: 'layer1.0.relu_1', shape: ['batch', 64, 'layer1.0.relu_1.height', 'layer1.0.relu_1.width'] },
      { name: 'x', shape: ['batch', 3, 'x.height', 'x.width'] },
    ]);
    expect(model.nodes.some((node) => node.name.startsWith('layer3'))).toBe(false);
    expect([...model.initializers.keys()].some((key) => /^(layer3|layer4|fc)/.test(key))).toBe(false);
    expectSound(model);
  });

  test('of one node under two names', () => {
    const model = readOnnx(toOnnx(small(), { outputs: ['fc', 'logits', 'avgpool', 'flatten'] }));
    expect(model.outputs.map((output) => output.shape)).toEqual([
      ['batch', 10],
      ['batch', 10],
      ['batch', 512, 1, 1],
      ['batch', 512],
    ]);
    expectSound(model);
  });

  test.each([
    [['layer9'], 'UNKNOWN_NODE'],
    [[], 'INVALID_ARGUMENT'],
    [['fc', 'fc'], 'INVALID_ARGUMENT'],
    ['fc', 'INVALID_ARGUMENT'],
    [['input'], 'INVALID_ARGUMENT'],
  ])('%j is %s', (outputs, code) => {
    expect(() => toOnnx(small(), { outputs: outputs as string[] })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe('graphs that no builder makes', () => {
  const input: GraphNode = { name: 'x', op: 'input', inputs: [], channels: 2 };
  const compilable = (nodes: readonly GraphNode[], parameters: Record<string, ParameterValues> = {}) => {
    const graph: Graph = {
      version: 1,
      nodes: [input, ...nodes],
      aliases: { logits: nodes.at(-1)?.name ?? 'x' },
    };
    return { graph, parameters: new Map(Object.entries(parameters)) };
  };
  const vector = (...values: number[]) => ({ shape: [values.length], data: Float32Array.from(values) });

  test('names that clash with the input, with parameters or with each other stay apart', () => {
    const conv = {
      op: 'conv2d',
      inChannels: 2,
      outChannels: 2,
      groups: 1,
      weight: 'a',
      bias: 'input',
    } as const;
    const window = { kernelSize: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] } as const;
    const nodes: GraphNode[] = [
      { name: 'input', inputs: ['x'], ...conv, ...window },
      { name: 'a', inputs: ['input'], ...conv, ...window },
    ];
    const weight = { shape: [2, 2, 1, 1], data: Float32Array.of(1, 2, 3, 4) };
    const model = readOnnx(toOnnx(compilable(nodes, { a: weight, input: vector(5, 6) })));
    expectSound(model);
    expect([...model.initializers.values()].map(({ data }) => data)).toEqual([
      weight.data,
      vector(5, 6).data,
    ]);
    expect(model.nodes.map(({ name }) => name)).toEqual(['input', 'a', 'logits']);
  });

  test('batch norm without scale and shift, over normalised input', () => {
    const model = readOnnx(
      toOnnx(
        compilable(
          [
            { name: 'normalize', op: 'normalize', inputs: ['x'], mean: [0, 0], std: [1, 1] },
            {
              name: 'bn',
              op: 'batch_norm',
              inputs: ['normalize'],
              features: 2,
              eps: 0.5,
              runningMean: 'mean',
              runningVar: 'var',
            },
          ],
          { mean: vector(1, 2), var: vector(3, 4) },
        ),
      ),
    );
    const bn = nodeOf(model, 'bn');
    expect(bn.inputs.slice(1).map((name) => [...(model.initializers.get(name)?.data ?? [])])).toEqual([
      [1, 1],
      [0, 0],
      [1, 2],
      [3, 4],
    ]);
    expect(bn.attributes).toEqual({ epsilon: 0.5 });
    expectSound(model);
  });

  test('a parameter that the model lacks', () => {
    const linear: GraphNode[] = [
      { name: 'flatten', op: 'flatten', inputs: ['x'] },
      { name: 'fc', op: 'linear', inputs: ['flatten'], inFeatures: 2, outFeatures: 2, weight: 'fc.weight' },
    ];
    expect(() => toOnnx(compilable(linear))).toThrow(/no parameter fc\.weight/);
  });

  test('more than 2 GB are refused, before anything is allocated for them', () => {
    // A quarter of a gigabyte of zeros that nothing ever touches, ten times.
    const data = new Float32Array(2 ** 26);
    const nodes = Array.from(
      { length: 10 },
      (_, i): GraphNode => ({
        name: `conv${i}`,
        op: 'conv2d',
        inputs: [i ? `conv${i - 1}` : 'x'],
        inChannels: i ? 2 ** 13 : 2,
        outChannels: 2 ** 13,
        kernelSize: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
        weight: `${i}`,
      }),
    );
    const parameters = Object.fromEntries(
      nodes.map((_, i) => [i, { shape: [2 ** 13, 2 ** 13, 1, 1], data }]),
    );
    const refusal = expect.objectContaining({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/2147483647/),
    });
    expect(() => toOnnx(compilable(nodes, parameters))).toThrow(refusal);
  });

  test.each([12, 18, '17', null])('opset %s', (opset) => {
    const refusal = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => toOnnx(small(), { opset: opset as 17 })).toThrow(refusal);
  });
});
