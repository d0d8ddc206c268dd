import { describe, expect, test } from 'vitest';
import type { Value } from '../../lib/graph/value.js';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import * as nn from '../../lib/nn/index.js';
import { trace } from '../../lib/nn/trace.js';

const { add, flatten, relu } = nn;

class Custom extends nn.Module {
  constructor(
    readonly inner: nn.Module,
    private readonly run: (x: Value, inner: nn.Module) => unknown,
  ) {
    super();
  }

  override forward(x: Value): Value {
    return this.run(x, this.inner) as Value;
  }
}

/** Traces `run` inside `block`, so that messages have a path to name. */
function traceBlock(run: (x: Value, inner: nn.Module) => unknown, inner: nn.Module = new nn.ReLU()) {
  const block = new Custom(inner, run);
  const root = new Custom(block, (x, member) => member.forward(x));
  return () => trace(Object.assign(root, { inner: block }), { channels: 3 });
}

const conv = (inChannels: number, outChannels: number) => new nn.Conv2d(inChannels, outChannels, 1);
const chain = (...modules: nn.Module[]) =>
  traceBlock((x, inner) => inner.forward(x), new nn.Sequential(...modules));

describe('layers that do not fit', () => {
  const cases: [string, () => unknown, string][] = [
    [
      'convolution',
      chain(conv(3, 8), conv(4, 4)),
      'inner.inner.1 (conv2d) expected 4 channels but received [n, 8, h, w] from inner.inner.0',
    ],
    ['the first convolution', chain(conv(1, 8)), 'expected 1 channels but received [n, 3, h, w] from x'],
    [
      'batch norm',
      chain(conv(3, 8), new nn.BatchNorm2d(4)),
      'inner.inner.1 (batch_norm) expected 4 channels',
    ],
    [
      'linear',
      chain(new nn.AdaptiveAvgPool2d(), new nn.Flatten(), new nn.Linear(5, 2)),
      'inner.inner.2 (linear) expected 5 features but received [n, 3]',
    ],
    ['linear on a map', chain(new nn.Linear(3, 2)), 'expected rows [n, c]: call flatten() first'],
    [
      'convolution of rows',
      chain(new nn.Flatten(), conv(3, 3)),
      'expected a feature map [n, c, h, w] but received',
    ],
    [
      'a sum',
      traceBlock((x, inner) => add(inner.forward(x), x), conv(3, 4)),
      'inner.add (add) expected two values of one shape but received [n, 4, h, w] and [n, 3, h, w] from inner.inner and x',
    ],
    ['a sum of kinds', traceBlock((x) => add(flatten(x), x)), '[n, c * h * w] and [n, 3, h, w]'],
    [
      'a shortcut',
      traceBlock((x) => nn.zeroPadShortcut(x, { stride: 2, outChannels: 2 })),
      'inner.pad (zero_pad_shortcut) expected at most 2 channels',
    ],
  ];

  test.each(cases)('%s', (_, run, message) => {
    expect(run).toThrow(expect.objectContaining({ code: 'INVALID_SHAPE' }));
    expect(run).toThrow(message);
  });

  test('a map of unknown size may be flattened into any linear layer; one of one pixel may not', () => {
    expect(chain(new nn.Flatten(), new nn.Linear(147, 2))).not.toThrow();
    expect(
      chain(new nn.AdaptiveAvgPool2d(), conv(3, 8), new nn.Flatten(), new nn.Linear(8, 2)),
    ).not.toThrow();
    const padded = new nn.Conv2d(3, 8, 3, { padding: 2 });
    expect(chain(new nn.AdaptiveAvgPool2d(), padded, new nn.Flatten(), new nn.Linear(72, 2))).not.toThrow();
  });
});

describe('what cannot be traced', () => {
  const kept: Value[] = [];
  const foreign = (x: Value) => {
    if (kept.length === 0) kept.push(x);
    return kept[0] as Value;
  };
  trace(new Custom(new nn.ReLU(), foreign), { channels: 3 });

  const cases: [string, () => unknown, string][] = [
    [
      'a result that is no Value',
      traceBlock(() => 5),
      'the result of forward() of inner (Custom) but received 5',
    ],
    ['an async forward', traceBlock(async (x) => x), 'inner (Custom) but received Promise'],
    ['nothing returned', traceBlock(() => undefined), 'received undefined'],
    ['JavaScript operators', traceBlock((x) => (x as unknown as number) + 1), 'call add(a, b)'],
    ['a product', traceBlock((x) => (x as unknown as number) * 2), 'Value(x: [n, 3, h, w]) is symbolic'],
    ['a Value of another trace', traceBlock((x) => add(x, foreign(x))), 'belongs to another trace'],
    [
      'another trace returned',
      traceBlock(foreign),
      'inner (Custom): Value(x: [n, 3, h, w]) belongs to another trace',
    ],
    [
      'numbers given to a layer',
      traceBlock((_, m) => m.forward(3 as unknown as Value)),
      'for inner.inner (ReLU) but received 3',
    ],
    [
      'numbers given to add',
      traceBlock((x) => add(x, 1 as unknown as Value)),
      'the second input of add but received 1',
    ],
    [
      'another dimension',
      traceBlock((x) => flatten(x, 2)),
      'flatten starts at dimension 1 only but received 2',
    ],
    [
      'a layer made in forward',
      traceBlock((x) => new nn.ReLU().forward(x)),
      'A ReLU ran inside inner (Custom) that is no property of any module',
    ],
  ];

  test.each(cases)('%s', (_, run, message) => {
    expect(run).toThrow(expect.objectContaining({ name: 'ResNetError', code: 'UNSUPPORTED' }));
    expect(run).toThrow(message);
  });

  test('layers in an array', () => {
    class Stack extends nn.Module {
      readonly convs = [conv(3, 3), conv(3, 3)];
      override forward(x: Value): Value {
        return this.convs.reduce((out, layer) => layer.forward(out), x);
      }
    }
    expect(() => trace(new Stack(), { channels: 3 })).toThrow('arrays and maps are not searched');
  });

  test('a module without forward', () => {
    class Empty extends nn.Module {}
    expect(chain(new Empty())).toThrow('Empty has no forward(): define one');
    expect(chain(new Empty())).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });

  test('frozen modules, of which nothing stays changed', () => {
    const root = new nn.Sequential(new nn.ReLU(), new nn.ReLU());
    Object.freeze(root[1]);
    expect(() => trace(root, { channels: 3 })).toThrow('1 (ReLU) is frozen or sealed');
    expect(Object.hasOwn(root[0] as object, 'forward')).toBe(false);
  });

  test('what is no module', () => {
    expect(() => trace({} as nn.Module, { channels: 3 })).toThrow(
      'Expected a Module for module but received Object',
    );
    expect(() => trace(new nn.ReLU(), { channels: 0 })).toThrow(/channels but received 0/);
  });
});

test('a block of a ResNet that does not fit is named by its path', () => {
  class Wrong extends BasicBlock {
    readonly extra = conv(64, 32);
    override forward(x: Value): Value {
      return relu(super.forward(this.extra.forward(x)));
    }
  }
  const model = new ResNet(Wrong, [1, 1, 1, 1]);
  expect(() => model.graph).toThrow(
    'layer1.0.conv1 (conv2d) expected 64 channels but received [n, 32, h, w] from layer1.0.extra',
  );
});

test('a Value says what it is in a string', () => {
  let text = '';
  trace(
    new Custom(new nn.AdaptiveAvgPool2d(), (x, inner) => {
      const out = inner.forward(x);
      text = `${x} ${out} ${flatten(out)} ${flatten(x)}`;
      return out;
    }),
    { channels: 3 },
  );
  expect(text).toBe(
    'Value(x: [n, 3, h, w]) Value(inner: [n, 3, 1, 1]) Value(flatten: [n, 3]) Value(flatten_1: [n, c * h * w])',
  );
});
