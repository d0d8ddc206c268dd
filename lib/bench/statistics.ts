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

/**
 * How far rows are from those expected, each without its mean, which classes share and no decision sees: norm of the
 * difference / norm of what was expected. NaN where either holds one, infinite where the lengths differ.
 */
export function centredError(
  actual: readonly number[],
  expected: readonly number[],
  rowLength: number,
): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let first = 0; first < expected.length; first += rowLength) {
    const [a, b] = [actual, expected].map((rows) => centred(rows.slice(first, first + rowLength)));
    b?.forEach((value, i) => {
      difference += ((a?.[i] as number) - value) ** 2;
      size += value ** 2;
    });
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}

function centred(row: readonly number[]): number[] {
  const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
  return row.map((value) => value - mean);
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
