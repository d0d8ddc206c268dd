import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { centreCrop, resizedSize } from '../../lib/transforms/geometry.js';

interface Row {
  width: number;
  height: number;
  resizeSize: number;
  cropSize: number;
  resized: { width: number; height: number };
  window: { left: number; top: number };
}
const rows = JSON.parse(readFileSync(new URL('fixtures/geometry.json', import.meta.url), 'utf8')) as Row[];

describe('as torchvision places things', () => {
  test.each(rows)('$width x $height, resize $resizeSize, crop $cropSize', (row) => {
    const resized = resizedSize(row, row.resizeSize);
    expect(resized).toEqual(row.resized);
    expect(centreCrop(resized, row.cropSize)).toEqual(row.window);
  });
});

test('half a margin is rounded to the even number', () => {
  const left = [1, 3, 5, 7].map((margin) => centreCrop({ width: 10 + margin, height: 10 }, 10).left);
  expect(left).toEqual([0, 2, 2, 4]);
});
