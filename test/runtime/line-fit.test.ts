import { expect, test } from 'vitest';
import { type Line, LineFit } from '../../lib/runtime/line-fit.js';

function fitted(decay: number, points: readonly (readonly [x: number, y: number])[]): Line | undefined {
  const fit = new LineFit(decay);
  for (const [x, y] of points) fit.add(x, y);
  return fit.line();
}

test('goes through points of a line', () => {
  const points = Array.from({ length: 20 }, (_, i) => [1 / (i + 1), 3 + 2 / (i + 1)] as const);
  for (const decay of [1, 0.9]) {
    expect(fitted(decay, points)?.intercept).toBeCloseTo(3, 9);
    expect(fitted(decay, points)?.slope).toBeCloseTo(2, 9);
  }
});

test('is the least squares of points beside it', () => {
  // By hand: means 2 and 3, covariance 4/3, variance 2/3.
  const line = fitted(1, [
    [1, 1],
    [2, 3],
    [3, 5],
    [2, 3],
    [1, 1],
    [3, 5],
  ]) as Line;
  expect(line.slope).toBeCloseTo(2, 12);
  expect(line.intercept).toBeCloseTo(-1, 12);
  const noisy = fitted(1, [
    [0, 0],
    [1, 3],
    [2, 0],
    [3, 3],
  ]) as Line;
  expect(noisy.slope).toBeCloseTo(0.6, 12);
  expect(noisy.intercept).toBeCloseTo(0.6, 12);
});

test('forgets', () => {
  const before = Array.from({ length: 50 }, (_, i) => [i % 4, 100 - (i % 4)] as const);
  const after = Array.from({ length: 50 }, (_, i) => [i % 4, 7 + (i % 4)] as const);
  const line = fitted(0.7, [...before, ...after]) as Line;
  expect(line.slope).toBeCloseTo(1, 4);
  expect(line.intercept).toBeCloseTo(7, 4);
});

test('says nothing of too few points, or of points at one place', () => {
  expect(fitted(1, [])).toBeUndefined();
  expect(
    fitted(1, [
      [1, 1],
      [2, 2],
    ]),
  ).toBeUndefined();
  expect(
    fitted(
      1,
      Array.from({ length: 100 }, () => [0.1, 5] as const),
    ),
  ).toBeUndefined();
});

test('expects what is on the line; the mean where all points are', () => {
  const fit = new LineFit(1);
  expect(fit.at(1)).toBeUndefined();
  fit.add(1, 4);
  fit.add(1, 6);
  expect(fit.at(1)).toBe(5);
  expect(fit.at(2)).toBeUndefined();
  fit.add(3, 9);
  expect(fit.at(2)).toBeCloseTo(7, 12);
});
