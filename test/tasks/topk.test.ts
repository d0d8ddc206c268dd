import { expect, test } from 'vitest';
import { topK } from '../../lib/tasks/topk.js';

test('the largest come first', () => {
  expect(topK([3, 9, -1, 7], 2)).toEqual([1, 3]);
  expect(topK([3, 9, -1, 7], 1)).toEqual([1]);
});

test('equal values come in the order of their indices', () => {
  expect(topK([5, 5, 5, 5], 3)).toEqual([0, 1, 2]);
  expect(topK([0, 5, 1, 5, 5], 4)).toEqual([1, 3, 4, 2]);
});

test('more than there are gives all', () => {
  expect(topK([1, 2], 5)).toEqual([1, 0]);
  expect(topK([], 5)).toEqual([]);
});

test('NaN is larger than every number, as in torch', () => {
  expect(topK([1, Number.NaN, Number.POSITIVE_INFINITY, Number.NaN], 3)).toEqual([1, 3, 2]);
});

test('agrees with a stable sort on many values with ties', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => (i * 7919) % 97);
  const sorted = [...values.keys()].sort((a, b) => (values[b] as number) - (values[a] as number));
  for (const k of [1, 5, 96, 1000]) expect(topK(values, k)).toEqual(sorted.slice(0, k));
});
