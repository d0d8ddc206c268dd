import { describe, expect, test } from 'vitest';
import type { Conv2dNode, Graph } from '../../lib/graph/graph.js';
import { graphNodeNames } from '../../lib/graph/names.js';
import type { Value } from '../../lib/graph/value.js';
import { Network } from '../../lib/models/network.js';
import {
  BasicBlock,
  Block,
  type BlockOptions,
  type BlockType,
  Bottleneck,
  conv1x1,
  conv3x3,
  ResNet,
} from '../../lib/models/resnet.js';
import type { ResNetOptions } from '../../lib/models/resnet-options.js';
import * as nn from '../../lib/nn/index.js';

const { add, relu } = nn;

const node = (graph: Graph, name: string) => graph.nodes.find((candidate) => candidate.name === name);
const named = (graph: Graph, prefix: string) =>
  graphNodeNames({ graph }).filter((name) => name.startsWith(prefix));

describe('options', () => {
  test('dilation replaces strides as in torchvision', () => {
    const replaceStrideWithDilation = [false, true, true];
    const { graph } = new ResNet(Bottleneck, [1, 1, 2, 2], { replaceStrideWithDilation });
    const geometry = (name: string) => {
      const { stride, dilation, padding } = node(graph, name) as Conv2dNode;
      return [stride[0], dilation[0], padding[0]];
    };
    expect(geometry('layer2.0.conv2')).toEqual([2, 1, 1]);
    expect(geometry('layer3.0.conv2')).toEqual([1, 1, 1]);
    expect(geometry('layer3.1.conv2')).toEqual([1, 2, 2]);
    expect(geometry('layer4.0.conv2')).toEqual([1, 2, 2]);
    expect(geometry('layer4.1.conv2')).toEqual([1, 4, 4]);
    expect(geometry('layer4.0.downsample.0')).toEqual([1, 1, 0]);
  });

  test('a normalisation of the caller', () => {
    const normLayer = (channels: number) => new nn.BatchNorm2d(channels, { eps: 1e-3, affine: false });
    const { graph } = new ResNet(BasicBlock, [1, 1, 1, 1], { normLayer });
    const norms = graph.nodes.filter(({ op }) => op === 'batch_norm');
    expect(norms.length).toBe(12);
    expect(norms.every((norm) => (norm as { eps: number }).eps === 1e-3 && !('weight' in norm))).toBe(true);
  });

  test("option A's pad is in the graph", () => {
    const { graph } = new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', shortcut: 'zero-pad' });
    const pad = { op: 'zero_pad_shortcut', inputs: ['layer1.0.relu_1'], stride: 2, outChannels: 32 };
    expect(node(graph, 'layer2.0.downsample.pad')).toMatchObject(pad);
    expect(graph.aliases['layer2.0.downsample']).toBe('layer2.0.downsample.pad');
  });

  const bad: [string, string, () => unknown, RegExp][] = [
    [
      'INVALID_ARGUMENT',
      'layers',
      () => new ResNet(BasicBlock, [2, 2, 2]),
      /a list of 4 integers for layers/,
    ],
    [
      'INVALID_ARGUMENT',
      'CIFAR layers',
      () => new ResNet(BasicBlock, [2, 2, 2, 2], { stem: 'cifar' }),
      /a list of 3/,
    ],
    [
      'INVALID_ARGUMENT',
      'no blocks',
      () => new ResNet(BasicBlock, [2, 0, 2, 2]),
      /layers\[1\] but received 0/,
    ],
    [
      'INVALID_ARGUMENT',
      'block',
      () => new ResNet(nn.ReLU as unknown as BlockType, [1, 1, 1, 1]),
      /function ReLU/,
    ],
    [
      'INVALID_ARGUMENT',
      'a typo',
      () => net({ numclasses: 3 } as ResNetOptions),
      /did you mean "numClasses"/,
    ],
    ['INVALID_ARGUMENT', 'classes', () => net({ numClasses: 0 }), /numClasses but received 0/],
    ['INVALID_ARGUMENT', 'shortcut', () => net({ shortcut: 'zeropad' as 'none' }), /did you mean "zero-pad"/],
    ['INVALID_ARGUMENT', 'stem', () => net({ stem: 'tiny' as 'cifar' }), /"imagenet", "cifar" for stem/],
    [
      'INVALID_ARGUMENT',
      'dilation',
      () => net({ replaceStrideWithDilation: [true] }),
      /a list of 3 booleans/,
    ],
    [
      'INVALID_ARGUMENT',
      'a class as normalisation',
      () => net({ normLayer: nn.BatchNorm2d as never }),
      /a function like/,
    ],
    ['UNSUPPORTED', 'groups of basic blocks', () => net({ groups: 2 }), /use Bottleneck/],
    ['UNSUPPORTED', 'wide basic blocks', () => net({ widthPerGroup: 128 }), /received 1 and 128/],
    [
      'UNSUPPORTED',
      'dilated basic blocks',
      () => net({ replaceStrideWithDilation: [true, false, false] }),
      /no dilation/,
    ],
  ];
  const net = (options: ResNetOptions) => new ResNet(BasicBlock, [2, 1, 1, 1], options);

  test.each(bad)('%s: %s', (code, _, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code }));
    expect(make).toThrow(message);
  });
});

describe('subclasses', () => {
  test('a block with another ReLU and another order', () => {
    class PreActivation extends BasicBlock {
      override forward(x: Value): Value {
        const out = this.conv1.forward(this.relu.forward(x));
        const branch = relu(this.bn2.forward(this.conv2.forward(this.bn1.forward(out))));
        return relu(add(this.downsample?.forward(x) ?? x, branch));
      }
    }
    const { graph } = new ResNet(PreActivation, [1, 1, 1], { stem: 'cifar' });
    expect(named(graph, 'layer1.0.').map((name) => name.slice(9))).toEqual([
      ...['relu', 'conv1', 'bn1', 'conv2', 'bn2', 'relu_1', 'add', 'relu_2'],
    ]);
  });

  test('a block with an added convolution: in the state dict, initialised like the others', () => {
    class Deeper extends Bottleneck {
      readonly extra: nn.Conv2d;
      constructor(inplanes: number, planes: number, options?: BlockOptions) {
        super(inplanes, planes, options);
        this.extra = conv3x3(planes * 4, planes * 4);
      }
      override forward(x: Value): Value {
        return this.extra.forward(super.forward(x));
      }
    }
    const model = new ResNet(Deeper, [2, 1, 1, 1]);
    expect(named(model.graph, 'layer1.1.').slice(-3)).toEqual([
      'layer1.1.add',
      'layer1.1.relu_2',
      'layer1.1.extra',
    ]);
    const keys = [...model.stateDict().keys()].filter((key) => key.startsWith('layer1.1.'));
    expect(keys.at(-1)).toBe('layer1.1.extra.weight');
    const weight = model.stateDict().get('layer1.1.extra.weight')?.data as Float32Array;
    const std = Math.sqrt(weight.reduce((sum, x) => sum + x * x, 0) / weight.length);
    expect(std).toBeCloseTo(Math.sqrt(2 / (256 * 9)), 3);
  });

  test('a block from nothing, whose expansion counts', () => {
    class Thin extends Block {
      static readonly expansion = 2;
      readonly conv: nn.Conv2d;
      override readonly downsample: nn.Module | undefined;
      constructor(inplanes: number, planes: number, options: BlockOptions = {}) {
        super(options);
        this.conv = conv1x1(inplanes, planes * Thin.expansion, options.stride);
        this.downsample = options.downsample;
      }
      override forward(x: Value): Value {
        return this.addShortcut(this.conv.forward(x), x);
      }
    }
    const model = new ResNet(Thin, [1, 2, 1, 1]);
    expect(model.fc.inFeatures).toBe(1024);
    expect(named(model.graph, 'layer2.0')).toEqual([
      ...['layer2.0.conv', 'layer2.0.downsample.0', 'layer2.0.downsample.1', 'layer2.0.add'],
    ]);
    expect([...model.stateDict().keys()].filter((key) => key.startsWith('layer2.'))).toEqual([
      ...['layer2.0.conv.weight', 'layer2.0.downsample.0.weight', 'layer2.0.downsample.1.weight'],
      ...['layer2.0.downsample.1.bias', 'layer2.0.downsample.1.running_mean'],
      ...['layer2.0.downsample.1.running_var', 'layer2.0.downsample.1.num_batches_tracked'],
      'layer2.1.conv.weight',
    ]);
  });

  test('a ResNet that stops early, with a stage and a head of its own', () => {
    class Headless extends ResNet {
      readonly layer5: nn.Sequential;
      readonly head: nn.Conv2d;
      constructor() {
        super(BasicBlock, [1, 1, 1, 1]);
        this.layer5 = this._makeLayer(BasicBlock, 64, 2, { stride: 2 });
        this.head = conv1x1(64, 7);
      }
      override forward(x: Value): Value {
        const out = this.layer5.forward(this.layer4?.forward(this.layer3.forward(this.stem(x))) as Value);
        return nn.flatten(this.head.forward(this.avgpool.forward(out)));
      }
      private stem(x: Value): Value {
        return this.layer2.forward(this.layer1.forward(this.bn1.forward(this.conv1.forward(x))));
      }
    }
    const { graph } = new Headless();
    expect(graphNodeNames({ graph }).slice(-4)).toEqual(['layer5.1.relu_1', 'avgpool', 'head', 'flatten']);
    expect(graph.aliases.logits).toBe('flatten');
    expect(node(graph, 'layer5.0.downsample.0')).toMatchObject({
      inChannels: 512,
      outChannels: 64,
      stride: [2, 2],
    });
  });

  test('a network of grey images', () => {
    class Grey extends Network {
      override readonly inputChannels = 1;
      readonly conv = conv3x3(1, 2);
      override forward(x: Value): Value {
        return this.conv.forward(x);
      }
    }
    expect(new Grey().graph.nodes[0]).toMatchObject({ op: 'input', channels: 1 });
    expect([...new Grey().parameters.keys()]).toEqual(['conv.weight']);
  });
});

test("a Bottleneck's subclass may have another expansion", () => {
  class Narrow extends Bottleneck {
    static override readonly expansion = 2;
  }
  const model = new ResNet(Narrow, [1, 1, 1, 1], { numClasses: 5 });
  expect(node(model.graph, 'layer4.0.conv3')).toMatchObject({ inChannels: 512, outChannels: 1024 });
  expect(node(model.graph, 'fc')).toMatchObject({ inFeatures: 1024, outFeatures: 5 });
});
