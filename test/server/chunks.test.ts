import { expect, test } from 'vitest';
import { seededRandom } from '../../lib/bench/random.js';
import { Chunks } from '../../lib/server/http/chunks.js';

const random = (seed: number, count: number, most: number) => {
  const next = seededRandom(seed);
  return Array.from({ length: count }, () => Buffer.alloc(1 + Math.floor(next() * most), next() * 256));
};

test.each([
  ['large', random(1, 20, 100_000)],
  ['small', random(2, 3000, 40)],
  ['of all sizes', [...random(3, 500, 300), ...random(4, 20, 60_000), ...random(5, 500, 300)]],
  ['one', random(6, 1, 10)],
  ['none', []],
])('chunks: %s, come out as they went in', (_name, given) => {
  const chunks = new Chunks();
  for (const chunk of given) chunks.add(Buffer.from(chunk));
  expect(Buffer.concat(chunks.list()).equals(Buffer.concat(given))).toBe(true);
});

test('small ones take at most twice their bytes', () => {
  const chunks = new Chunks();
  // Each by itself would hold on to the network's buffer.
  for (let i = 0; i < 100_000; i++) chunks.add(Buffer.from(new ArrayBuffer(2 ** 10), i % 2 ** 10, 1));
  const held = new Map(chunks.list().map(({ buffer }) => [buffer, buffer.byteLength]));
  expect(held.size).toBeLessThan(50);
  expect([...held.values()].reduce((sum, size) => sum + size)).toBeLessThanOrEqual(200_000);
});
