import { expect, test } from 'vitest';
import { softmax } from '../../lib/tasks/softmax.js';

const { exp, fround } = Math;

test('probabilities are those of the definition, in float64', () => {
  const logits = [0.1, -2.5, 3.75, 0];
  const sum = logits.reduce((total, logit) => total + exp(fround(logit)), 0);
  const probabilities = softmax(Float32Array.from(logits));
  for (const [i, logit] of logits.entries()) {
    expect(probabilities[i]).toBeCloseTo(exp(fround(logit)) / sum, 15);
  }
});

test('large logits do not overflow and their differences count', () => {
  const [a, b] = softmax(Float32Array.of(3e38, 3e38));
  expect([a, b]).toEqual([0.5, 0.5]);
  expect(softmax(Float32Array.of(1000, 999))[0]).toBeCloseTo(1 / (1 + exp(-1)), 14);
});

test('a thousand equal logits sum to one', () => {
  const probabilities = softmax(new Float32Array(1000).fill(-7));
  expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
});

test('NaN and infinity give NaN, as in torch', () => {
  expect([...softmax(Float32Array.of(1, Number.NaN))]).toEqual([Number.NaN, Number.NaN]);
  expect(softmax(Float32Array.of(1, Number.POSITIVE_INFINITY))[1]).toBeNaN();
  expect([...softmax(Float32Array.of(Number.NEGATIVE_INFINITY, 2))]).toEqual([0, 1]);
});

test('nothing gives nothing', () => {
  expect(softmax(new Float32Array(0))).toHaveLength(0);
});
