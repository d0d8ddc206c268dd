import { afterEach, describe, expect, test, vi } from 'vitest';
import { Bottleneck, ResNet } from '../../lib/models/resnet.js';
import * as nn from '../../lib/nn/index.js';
import { native } from '../../lib/runtime/native.js';

afterEach(() => nn.manualSeed(0));

/** Mean, standard deviation and the share within one standard deviation. */
function statistics(data: Float32Array) {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const std = Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length);
  const within = data.reduce((count, x) => count + (Math.abs(x - mean) < std ? 1 : 0), 0) / data.length;
  return { mean, std, within };
}

const largest = (data: Float32Array) => data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

describe('laziness', () => {
  test('building a ResNet makes no data, and what is set is never initialised', () => {
    const allocate = vi.spyOn(native(), 'allocate');
    const state = new ResNet(Bottleneck, [3, 8, 36, 3]).stateDict();
    const weight = state.get('layer4.0.conv2.weight') as nn.Parameter;
    const data = new Float32Array(512 * 512 * 9);
    weight.data = data;
    expect(weight.data).toBe(data);
    expect(allocate).not.toHaveBeenCalled();
    allocate.mockRestore();
  });

  test('reading initialises one tensor, once, in memory that compile reads in place', () => {
    const allocate = vi.spyOn(native(), 'allocate');
    const initializer = vi.fn();
    const [read, unread] = [new nn.Parameter([2, 3], initializer), new nn.Parameter([1], initializer)];
    expect(read.data).toBe(read.data);
    expect(initializer.mock.calls.map(([data]) => data)).toEqual([read.data]);
    expect(allocate.mock.calls).toEqual([[24]]);
    expect(read.data.buffer).toBe(allocate.mock.results[0]?.value);
    expect(unread.size).toBe(1);
    allocate.mockRestore();
  });
});

describe('determinism', () => {
  const values = () => {
    const model = new ResNet(Bottleneck, [1, 1, 1, 1]);
    return [...model.stateDict()].map(([key, { data }]) => [key, data.slice(0, 50)]);
  };

  test('the same seed gives the same network, another seed another', () => {
    nn.manualSeed(42);
    const first = values();
    expect(values()).not.toEqual(first);
    nn.manualSeed(42);
    expect(values()).toEqual(first);
    nn.manualSeed(43);
    expect(values()).not.toEqual(first);
    nn.manualSeed(42 + 2 ** 32);
    expect(values()).not.toEqual(first);
  });

  test('values do not depend on what is read first', () => {
    nn.manualSeed(7);
    const a = [new nn.Linear(5, 5), new nn.Linear(5, 5)].map(({ weight }) => [...weight.data]);
    nn.manualSeed(7);
    const [first, second] = [new nn.Linear(5, 5), new nn.Linear(5, 5)] as const;
    const secondData = [...second.weight.data];
    expect([[...first.weight.data], secondData]).toEqual(a);
    expect(a[0]).not.toEqual(a[1]);
  });

  test('a seed is a non-negative integer', () => {
    for (const seed of [-1, 0.5, Number.NaN, '1']) {
      expect(() => nn.manualSeed(seed as number)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
  });
});

describe('distributions', () => {
  // A mean of n samples of deviation s is off by s / √n; five times that is one in a million.
  test("a ResNet's convolutions are normal with the deviation of their fan out", () => {
    const state = new ResNet(Bottleneck, [1, 1, 1, 1], { groups: 2 }).stateDict();
    for (const [key, fanOut] of [
      ['conv1.weight', 64 * 49],
      ['layer3.0.conv2.weight', 512 * 9],
      ['layer4.0.downsample.0.weight', 2048],
    ] as const) {
      const data = state.get(key)?.data as Float32Array;
      const expected = Math.sqrt(2 / fanOut);
      const { mean, std, within } = statistics(data);
      expect(Math.abs(mean)).toBeLessThan((5 * expected) / Math.sqrt(data.length));
      expect(Math.abs(std / expected - 1)).toBeLessThan(5 / Math.sqrt(2 * data.length));
      expect(Math.abs(within - 0.6827)).toBeLessThan((5 * 0.47) / Math.sqrt(data.length));
      expect(largest(data) / expected).toBeGreaterThan(3);
    }
  });

  test("layers of one's own are uniform within one over the root of their fan in, as in torch", () => {
    const conv = new nn.Conv2d(64, 128, 3, { groups: 2 });
    const linear = new nn.Linear(300, 400);
    for (const [parameter, fanIn] of [
      [conv.weight, 32 * 9],
      [conv.bias, 32 * 9],
      [linear.weight, 300],
      [linear.bias, 300],
    ] as const) {
      const data = parameter?.data as Float32Array;
      const bound = 1 / Math.sqrt(fanIn);
      expect(largest(data)).toBeLessThanOrEqual(Math.fround(bound));
      expect(largest(data)).toBeGreaterThan(0.95 * bound);
      const { mean, std } = statistics(data);
      expect(Math.abs(mean)).toBeLessThan((5 * bound) / Math.sqrt(3 * data.length));
      expect(std).toBeGreaterThan(0.9 * (bound / Math.sqrt(3)));
    }
  });

  test('an odd number of values is filled to the last', () => {
    const parameter = new nn.Parameter([7], nn.kaimingNormalFanOut([7, 1, 1, 1]));
    expect([...parameter.data].every((value) => value !== 0)).toBe(true);
  });

  test('batch norms begin as the identity; zeroInitResidual silences the last of each block', () => {
    const state = new ResNet(Bottleneck, [2, 1, 1, 1], { zeroInitResidual: true }).stateDict();
    const first = (key: string) => state.get(key)?.data[0];
    expect(first('layer1.1.bn2.weight')).toBe(1);
    expect(first('layer1.1.bn3.weight')).toBe(0);
    expect(first('layer1.0.downsample.1.weight')).toBe(1);
    expect([first('bn1.bias'), first('bn1.running_mean'), first('bn1.running_var')]).toEqual([0, 0, 1]);
    expect(state.get('bn1.num_batches_tracked')?.data).toEqual(new BigInt64Array(1));
  });
});

describe('setting data', () => {
  test('the number of elements and the type are checked', () => {
    const { weight } = new nn.Linear(3, 2);
    expect(() => {
      weight.data = new Float32Array(5);
    }).toThrow(
      expect.objectContaining({ code: 'INVALID_SHAPE', message: expect.stringContaining('[2, 3]') }),
    );
    expect(() => {
      weight.data = new Float64Array(6) as unknown as Float32Array<ArrayBuffer>;
    }).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    const counter = new nn.BatchNorm2d(4).num_batches_tracked;
    expect(() => {
      counter.data = new Float32Array(1);
    }).toThrow(/BigInt64Array/);
  });

  test('initialize discards what was there', () => {
    const { weight } = new nn.Linear(3, 2);
    weight.data = new Float32Array(6).fill(9);
    weight.initialize(nn.constant(2));
    expect([...weight.data]).toEqual([2, 2, 2, 2, 2, 2]);
  });
});
