import { describe, expect, test } from 'vitest';
import { ratioOf, summarise } from '../../lib/bench/measure.js';
import { centredError, median, percentile, relativeDifference, spread } from '../../lib/bench/statistics.js';

describe('percentile', () => {
  test.each([
    [[7], 0.99, 7],
    [[3, 1, 2], 0.5, 2],
    [[4, 1, 3, 2], 0.5, 2.5],
    [[10, 20, 30, 40, 50], 0, 10],
    [[10, 20, 30, 40, 50], 1, 50],
    [[10, 20, 30, 40, 50], 0.95, 48],
    [Array.from({ length: 101 }, (_, i) => 100 - i), 0.99, 99],
  ])('of %j at %d is %d', (values, share, expected) => {
    expect(percentile(values, share)).toBeCloseTo(expected, 12);
  });

  test('leaves its input as it was', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test('of nothing is an error', () => {
    expect(() => median([])).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

test('spread is that of the extremes around the median', () => {
  expect(spread([90, 100, 120])).toBeCloseTo(0.3, 12);
  expect(spread([5])).toBe(0);
});

describe('relativeDifference', () => {
  test('is the worst difference over the worst value', () => {
    expect(relativeDifference([1, -4, 2.5], [1, -5, 2])).toBeCloseTo(0.2, 12);
    expect(relativeDifference([0, 0], [0, 0])).toBe(0);
  });

  test('does not pass over NaN or missing values', () => {
    expect(relativeDifference([1, Number.NaN], [1, 2])).toBeNaN();
    expect(relativeDifference([1, 2], [1, Number.NaN])).toBeNaN();
    expect(relativeDifference([1], [1, 2])).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('centredError', () => {
  test('does not see what a whole row has more', () => {
    expect(centredError([11, 13, 2, 6], [1, 3, 4, 8], 2)).toBe(0);
    expect(centredError([1, 5, 4, 8], [1, 3, 4, 8], 2)).toBeCloseTo(Math.sqrt(2 / 10), 12);
  });

  test('does not pass over NaN or missing values', () => {
    expect(centredError([1, Number.NaN], [1, 2], 2)).toBeNaN();
    expect(centredError([1], [1, 2], 2)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('summarise', () => {
  // Two rounds of a batch of 4: 4 images in 10 ms are 400 images/s, 8 in 40 ms are 200.
  const rounds = [[10], [15, 25]];

  test('takes the median of the rounds, and percentiles of all runs', () => {
    const summary = summarise(rounds, 4, 5e8, 600);
    expect(summary.imagesPerSecond).toBeCloseTo(300, 9);
    expect(summary.spread).toBeCloseTo(2 / 3, 9);
    expect(summary.p50).toBe(15);
    expect(summary.p95).toBeCloseTo(24, 9);
    expect(summary.p99).toBeCloseTo(24.8, 9);
    expect(summary.gflops).toBeCloseTo(300, 9);
    expect(summary.shareOfPeak).toBeCloseTo(0.5, 9);
  });

  test('has no share of a peak that was not measured', () => {
    expect(summarise(rounds, 4, 5e8, undefined).shareOfPeak).toBeNull();
  });
});

test('a ratio is that of rounds that ran side by side', () => {
  // The machine was half as fast in the second round, for both.
  expect(ratioOf([[10], [20], [10]], [[20], [40], [25]])).toBeCloseTo(2, 12);
});
