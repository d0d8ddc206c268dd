import { expect, test } from 'vitest';
import { KeySet } from '../../lib/extract/key-set.js';

test('holds what was added, and nothing else, through many growths', () => {
  const keys = new KeySet();
  const all = Array.from({ length: 20_000 }, (_, i) => `images/${i}.jpg`);
  for (const key of all) expect(keys.add(key)).toBe(true);
  for (const key of all) expect(keys.add(key)).toBe(false);
  expect(keys.size).toBe(all.length);
  expect(all.every((key) => keys.has(key))).toBe(true);
  expect(all.some((key) => keys.has(`${key}x`))).toBe(false);
});
