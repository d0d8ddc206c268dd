import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { gifFrame, isPngGrey16, jpegFrame } from '../../lib/transforms/headers.js';
import { imageFormat } from '../../lib/transforms/source.js';
import { GOLDEN_IMAGES, goodImages } from './images.js';

const read = (file: string) => readFileSync(GOLDEN_IMAGES + file);

describe('jpegFrame', () => {
  test.each([
    ['china.jpg', 640, 427, 3, true],
    ['jpeg-progressive.jpg', 97, 61, 3, false],
    ['jpeg-grey.jpg', 97, 61, 1, true],
    ['jpeg-icc.jpg', 97, 61, 3, true],
    ['jpeg-cmyk-plain.jpg', 53, 40, 4, true],
  ])('%s', (file, width, height, components, sequential) => {
    expect(jpegFrame(read(file))).toEqual({ width, height, components, sequential });
  });

  test('fill bytes before a marker are skipped', () => {
    const jpeg = read('jpeg-grey.jpg');
    const filled = Buffer.concat([jpeg.subarray(0, 2), Buffer.alloc(3, 0xff), jpeg.subarray(2)]);
    expect(jpegFrame(filled)).toEqual(jpegFrame(jpeg));
  });
});

test('isPngGrey16 tells grey from grey with alpha, and 16 bits from 8', () => {
  const files = ['png-grey-16-bit.png', 'png-grey-alpha-16-bit.png', 'png-rgb-16-bit.png', 'png-grey.png'];
  expect(files.map((file) => isPngGrey16(read(file)))).toEqual([true, false, false, false]);
});

test('imageFormat tells each format by its first bytes', () => {
  const byExtension: Record<string, string> = { jpg: 'jpeg' };
  for (const { path, file } of goodImages) {
    const extension = file.slice(file.lastIndexOf('.') + 1);
    expect(imageFormat(readFileSync(path))).toBe(byExtension[extension] ?? extension);
  }
});

test('cut off anywhere, headers are read without an exception and in an instant', () => {
  for (const [file, readHeader] of [
    ['jpeg-icc.jpg', jpegFrame],
    ['gif-animated.gif', gifFrame],
    ['png-rgb.png', isPngGrey16],
  ] as const) {
    const bytes = read(file);
    for (let length = 0; length <= Math.min(bytes.length, 2000); length++) {
      expect(() => readHeader(bytes.subarray(0, length))).not.toThrow();
    }
  }
  // A chain of a million blocks, and a marker that points at itself.
  const blocks = Buffer.concat([read('gif.gif').subarray(0, 13), Buffer.alloc(1_000_000, 0x21)]);
  expect(gifFrame(blocks)).toBeUndefined();
  expect(
    jpegFrame(Buffer.concat([Buffer.from([0xff, 0xd8]), Buffer.alloc(1_000_000, 0xff)])),
  ).toBeUndefined();
});
