import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../lib/bench/random.js';
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

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
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

const gpu = (rows: number) => 5 + 0.1 * rows;
const cpu = (rows: number) => 5 + 10 * rows;

/** Milliseconds that differ from `ms` by up to `share`. */
function noisy(ms: (rows: number) => number, share: number): (rows: number) => number {
  const random = seededRandom(1);
  return (rows) => ms(rows) * (1 + share * (2 * random() - 1));
}

describe('GrowthLimit', () => {
  test('takes all that waits before it knows anything', () => {
    const limit = new GrowthLimit(32);
    expect(learn(limit, 30, cpu, 10)).toEqual(new Array(10).fill(30));
    expect(learn(limit, 3, cpu, 10)).toEqual(new Array(10).fill(3));
  });

  test('takes all that waits as long as larger batches are cheaper for each image', () => {
    const limit = new GrowthLimit(32);
    learn(limit, 32, gpu, 100);
    expect(limit.rows(32)).toBe(32);
    expect(limit.rows(13)).toBe(13);
  });

  test('stops where an image gets hardly cheaper', () => {
    const limit = new GrowthLimit(32);
    learn(limit, 32, cpu, 50);
    // 5 ms are 15% of the 33 that 3.3 images take.
    expect(limit.rows(7)).toBe(4);
    expect(limit.rows(3)).toBe(3);
  });

  test('takes half of what waits where that is much', () => {
    const limit = new GrowthLimit(32);
    learn(limit, 32, cpu, 50);
    expect([9, 32, 60, 64, 1000].map((waiting) => limit.rows(waiting))).toEqual([5, 16, 30, 32, 32]);
  });

  test.each([
    ['one that is not busy before 10 images', (rows: number) => Math.max(10, rows)],
    ['one that is not busy before 3', (rows: number) => 10 * Math.max(rows, 2.5)],
    ['one that has nothing to gain', (rows: number) => 10 * rows],
    ['one whose caches are too small for 16', (rows: number) => (rows < 16 ? 4 + 8 * rows : 10 * rows)],
    ['a GPU', gpu],
    ['a CPU', cpu],
  ])('a machine under load does most of what it can: %s', (_, ms) => {
    for (const share of [0, 0.2]) {
      const limit = new GrowthLimit(32);
      const sizes = learn(limit, 32, noisy(ms, share), 500).slice(30);
      const rate = (rows: number) => rows / ms(rows);
      const best = Math.max(...Array.from({ length: 32 }, (_, i) => rate(i + 1)));
      const [images, took] = [sum(sizes), sum(sizes.map(ms))];
      expect(images / took).toBeGreaterThan(0.8 * best);
    }
  });

  test('a single slow run decides nothing for long', () => {
    for (const slow of [0, 1, 3, 10, 40]) {
      const limit = new GrowthLimit(8);
      let run = 0;
      const sizes = learn(limit, 8, (rows) => (run++ === slow ? 1000 : gpu(rows)), 300);
      expect(sizes.slice(-50).filter((rows) => rows === 8).length).toBeGreaterThan(45);
    }
  });

  test('follows a machine that changes', () => {
    const limit = new GrowthLimit(8);
    learn(limit, 8, (rows) => 10 * rows, 60);
    expect(limit.rows(4)).toBe(2);
    learn(limit, 8, gpu, 200);
    expect(limit.rows(8)).toBe(8);
    learn(limit, 8, (rows) => 10 * rows, 300);
    expect(limit.rows(4)).toBe(2);
  });

  test('single images, however many, do not keep it from growing', () => {
    for (const images of [1, 2, 3, 100, 1001]) {
      const limit = new GrowthLimit(32);
      learn(limit, 1, gpu, images);
      expect(learn(limit, 32, gpu, 20).at(-1)).toBe(32);
    }
  });

  test.each([1, 2, 3, 7, 12, 48])('never gives nothing or more than waits, up to %i', (maxBatch) => {
    const limit = new GrowthLimit(maxBatch);
    for (let i = 0; i < 300; i++) {
      const waiting = 1 + (i % maxBatch);
      const rows = limit.rows(waiting);
      expect(Number.isInteger(rows)).toBe(true);
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
