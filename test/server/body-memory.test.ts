import { describe, expect, test } from 'vitest';
import { BodyMemory, discardChunk } from '../../lib/server/http/body-memory.js';

describe('memory for bodies', () => {
  test('that was given back is taken again for those that it is not far too large for', () => {
    const memory = new BodyMemory();
    const [small, large] = [memory.take(100_000), memory.take(600_000)];
    memory.giveBack(small);
    memory.giveBack(large);
    expect(memory.take(90_000)).toBe(small);
    expect(memory.take(90_000)).not.toBe(large);
    expect(memory.take(600_001)).not.toBe(large);
    expect(memory.take(300_000)).toBe(large);
    expect(memory.take(300_000)).not.toBe(large);
  });

  test('is as large as was asked for, down to nothing', () => {
    const memory = new BodyMemory();
    for (const bytes of [0, 1, 65_535, 65_536, 1_000_000]) {
      const buffer = memory.take(bytes);
      expect(buffer.byteLength).toBe(bytes);
      memory.giveBack(buffer);
    }
  });

  test('is kept up to a limit: then the oldest is let go', () => {
    const memory = new BodyMemory();
    const buffers = Array.from({ length: 5 }, () => memory.take(2 ** 24));
    for (const buffer of buffers) memory.giveBack(buffer);
    expect(buffers.map(({ byteLength }) => byteLength)).toEqual([0, ...new Array(4).fill(2 ** 24)]);
    expect(memory.take(2 ** 24)).toBe(buffers[4]);
  });
});

test('of what was received only large buffers are discarded that nobody else has a part of', () => {
  const [large, small, half] = [
    Buffer.alloc(2 ** 16),
    Buffer.alloc(100),
    Buffer.alloc(2 ** 16).subarray(2 ** 15),
  ];
  for (const chunk of [large, small, half]) discardChunk(chunk);
  expect([large, small, half].map(({ length }) => length)).toEqual([0, 100, 2 ** 15]);
});
