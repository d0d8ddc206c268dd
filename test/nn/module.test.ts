import { describe, expect, test } from 'vitest';
import type { Value } from '../../lib/graph/value.js';
import * as nn from '../../lib/nn/index.js';

class Pair extends nn.Module {
  readonly second: nn.Module;
  readonly scale = new nn.Parameter([1], nn.constant(3));
  readonly list = [new nn.ReLU()];

  constructor(
    readonly first: nn.Module,
    second: nn.Module,
  ) {
    super();
    this.second = second;
  }

  override forward(x: Value): Value {
    return this.second.forward(this.first.forward(x));
  }
}

describe('registration', () => {
  test('is by property: parameters first, then submodules, each in order', () => {
    const pair = new Pair(new nn.Linear(2, 3), new nn.Sequential(new nn.ReLU(), new nn.BatchNorm2d(3)));
    expect([...pair.stateDict().keys()]).toEqual([
      'scale',
      'first.weight',
      'first.bias',
      'second.1.weight',
      'second.1.bias',
      'second.1.running_mean',
      'second.1.running_var',
      'second.1.num_batches_tracked',
    ]);
    expect([...pair.namedModules()].map(([path]) => path)).toEqual([
      '',
      'first',
      'second',
      'second.0',
      'second.1',
    ]);
    expect([...pair.namedParameters()].map(([key]) => key)).toHaveLength(5);
  });

  test('options without parameters have no keys', () => {
    const layers = new nn.Sequential(
      new nn.Conv2d(1, 1, 1, { bias: false }),
      new nn.Linear(1, 1, { bias: false }),
      new nn.BatchNorm2d(1, { affine: false }),
    );
    const keys = ['0.weight', '1.weight', '2.running_mean', '2.running_var', '2.num_batches_tracked'];
    expect([...layers.stateDict().keys()]).toEqual(keys);
  });

  test('a shared module has a key for each place, and counts once', () => {
    const shared = new nn.Linear(2, 2);
    const pair = new Pair(shared, shared);
    expect(pair.stateDict().get('first.weight')).toBe(pair.stateDict().get('second.weight'));
    expect([...pair.namedModules()].map(([path]) => path)).toEqual(['', 'first']);
    expect([...pair.namedParameters()].map(([key]) => key)).toEqual(['scale', 'first.weight', 'first.bias']);
  });

  test('a module inside itself is refused', () => {
    const inner = new nn.Sequential(new nn.ReLU());
    const pair = new Pair(inner, new nn.ReLU());
    Object.assign(inner, { parent: pair });
    expect(() => pair.stateDict()).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => pair.stateDict()).toThrow('first.parent (Pair) contains itself');
  });

  test('Sequential keeps its order beyond ten and can be iterated', () => {
    const modules = Array.from({ length: 12 }, () => new nn.ReLU());
    const sequential = new nn.Sequential(...modules);
    expect([...sequential]).toEqual(modules);
    expect(sequential.length).toBe(12);
    expect(sequential[11]).toBe(modules[11]);
    expect(() => new nn.Sequential(new nn.ReLU(), 5 as unknown as nn.Module)).toThrow(
      'module 1 of Sequential',
    );
  });
});

describe('arguments', () => {
  const bad: [string, () => unknown, RegExp][] = [
    ['channels', () => new nn.Conv2d(0, 4, 3), /at least 1 for inChannels but received 0/],
    ['a kernel', () => new nn.Conv2d(4, 4, '3' as unknown as number), /kernelSize but received "3"/],
    ['a pair', () => new nn.Conv2d(4, 4, [3, 3, 3] as unknown as [number, number]), /\[height, width\]/],
    ['NaN', () => new nn.Conv2d(4, 4, 3, { stride: Number.NaN }), /stride but received NaN/],
    ['padding', () => new nn.Conv2d(4, 4, 3, { padding: [1, -1] }), /padding\[1\] but received -1/],
    ['groups', () => new nn.Conv2d(4, 6, 3, { groups: 4 }), /a divisor of 4 and 6 channels/],
    [
      'an unknown option',
      () => new nn.Conv2d(4, 6, 3, { strides: 2 } as nn.Conv2dOptions),
      /did you mean "stride"/,
    ],
    ['eps', () => new nn.BatchNorm2d(4, { eps: -1 }), /eps but received -1/],
    ['features', () => new nn.Linear(4, 2.5), /outFeatures but received 2.5/],
    ['pool padding', () => new nn.MaxPool2d(3, { padding: 2 }), /at most half the kernel \[3, 3\]/],
    [
      'options',
      () => new nn.MaxPool2d(3, 2 as nn.MaxPool2dOptions),
      /an object for the options of MaxPool2d but received 2/,
    ],
  ];

  test.each(bad)('%s', (_, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(make).toThrow(message);
  });

  test('adaptive pooling is to one pixel only', () => {
    expect(() => new nn.AdaptiveAvgPool2d(7)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => new nn.AdaptiveAvgPool2d([1, 2])).toThrow(/received \[1, 2\]/);
    expect(new nn.AdaptiveAvgPool2d([1, 1])).toBeInstanceOf(nn.Module);
  });
});
