import { describe, expect, test } from 'vitest';
import { Batcher } from '../../lib/runtime/batcher.js';
import { GrowthLimit, GrowthLimits } from '../../lib/runtime/growth-limit.js';
import type { Tensor } from '../../lib/tensor.js';
import { FakeSession, numbered } from './fake-session.js';

/** Runs batches of what the limit says, `waiting` images before it, on a device where `rows` take `ms(rows)`. */
function learn(limit: GrowthLimit, waiting: number, ms: (rows: number) => number, batches: number): number[] {
  return Array.from({ length: batches }, () => {
    const rows = limit.rows(waiting);
    limit.add(rows, ms(rows));
    return rows;
  });
}

test('a request of more images than the limit runs alone', async () => {
  const session = new FakeSession(4);
  session.onRun = (run) => setTimeout(() => run.finish(), 1);
  const batcher = new Batcher(session);
  // Teaches that larger batches are no better, and tries small ones.
  for (let i = 0; i < 30; i++) {
    const { logits } = await batcher.run(numbered(10 * i, 3));
    expect([...(logits as Tensor).data]).toEqual([10 * i, 10 * i + 1, 10 * i + 2]);
  }
});

describe('GrowthLimit', () => {
  test('takes all that waits as long as larger batches are cheaper for each image', () => {
    const limit = new GrowthLimit(32);
    const gpu = (rows: number) => 5 + 0.1 * rows;
    learn(limit, 32, gpu, 20);
    expect(limit.rows(32)).toBe(32);
    expect(limit.rows(13)).toBe(13);
  });

  test('stops where an image gets no cheaper', () => {
    const limit = new GrowthLimit(32);
    // From 4 on, twice the images take twice the time.
    const cpu = (rows: number) => 10 * Math.max(rows, 2.5);
    learn(limit, 32, cpu, 20);
    expect(limit.rows(32)).toBe(4);
    // Fewer than the limit run together as they are, once a smaller size was tried.
    learn(limit, 3, cpu, 3);
    expect(limit.rows(3)).toBe(3);
    expect(learn(limit, 32, cpu, 50)).toEqual(new Array(50).fill(4));
  });

  test('tries the halvings in turn, the largest first, down to the first that costs more', () => {
    const limit = new GrowthLimit(16);
    const sizes = learn(limit, 16, (rows) => 10 * Math.max(rows, 2.5), 15);
    expect(sizes).toEqual([16, 8, 4, 2, 16, 8, 4, 2, 16, 8, 4, 2, 4, 4, 4]);
  });

  test('a single slow run decides nothing', () => {
    const limit = new GrowthLimit(8);
    let run = 0;
    learn(limit, 8, (rows) => (run++ === 1 ? 1000 : 5 + rows), 12);
    expect(limit.rows(8)).toBe(8);
  });

  test('follows a machine that changes', () => {
    const limit = new GrowthLimit(8);
    learn(limit, 8, (rows) => 10 * rows, 30);
    expect(limit.rows(8)).toBe(1);
    learn(limit, 8, (rows) => 20 + rows, 600);
    expect(limit.rows(8)).toBe(8);
  });

  test.each([1, 2, 3, 7, 12, 48])('never gives nothing or more than waits, up to %i', (maxBatch) => {
    const limit = new GrowthLimit(maxBatch);
    for (let i = 0; i < 300; i++) {
      const waiting = 1 + (i % maxBatch);
      const rows = limit.rows(waiting);
      expect(rows).toBeGreaterThanOrEqual(1);
      expect(rows).toBeLessThanOrEqual(waiting);
      limit.add(rows, 3 + ((rows * 7) % 5));
    }
  });

  test('kinds of batches are kept apart, and not for ever', () => {
    const limits = new GrowthLimits(4);
    const first = limits.of('a');
    expect(limits.of('a')).toBe(first);
    for (let i = 0; i < 64; i++) limits.of(`b${i}`);
    expect(limits.of('a')).not.toBe(first);
  });
});
