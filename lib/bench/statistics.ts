import { invalid } from '../is.js';

// What is made of the times of runs. All of it takes plain lists of numbers.

/** The value below which `share` (0 to 1) of the values lie, between neighbours by linear interpolation. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw invalid('values', 'at least one number', values);
  const sorted = values.toSorted((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] as number;
  const above = sorted[Math.ceil(position)] as number;
  return below + (position - Math.floor(position)) * (above - below);
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** How far the values lie apart, as a share of their median: (largest - smallest) / median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** worst |actual - expected| / worst |expected|; NaN where either holds one, infinite where the lengths differ. */
export function relativeDifference(actual: readonly number[], expected: readonly number[]): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  expected.forEach((value, i) => {
    difference = Math.max(difference, Math.abs((actual[i] as number) - value));
    largest = Math.max(largest, Math.abs(value));
  });
  return difference === 0 ? 0 : difference / largest;
}
