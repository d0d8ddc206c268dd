import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { native } from '../../lib/runtime/native.js';
import { jpegFrame } from '../../lib/transforms/headers.js';
import { goodImages } from '../transforms/images.js';
import { whyNoGpu } from './gpu.js';

// nvJPEG's pixels, resized on the GPU, against the host's. Both decoders follow the standard, which leaves the rounding
// of the inverse transform open (a level), and libjpeg-turbo computes the interpolation of chroma in integers of few
// bits (two or three levels, more where colours are saturated); a resize averages over pixels.

/** Of 255 levels. */
const MEAN = 1;
const ALL_BUT_A_THOUSANDTH = 8;

const { resizeCropJpeg, decodeJpegs } = native();
const whyNot = whyNoGpu || (resizeCropJpeg ? '' : 'this machine has no TurboJPEG to compare with');

describe.skipIf(whyNot !== '')(`JPEGs decoded by a GPU ${whyNot}`, () => {
  const jpegs = goodImages.filter(({ file }) => /\.jpg$/.test(file) && !/cmyk|ycck/.test(file));

  test.each(jpegs)('$file', async ({ path }) => {
    const file = readFileSync(path);
    const { height, width } = jpegFrame(file) as { height: number; width: number };
    const [resizedHeight, resizedWidth] = [Math.ceil(height / 2), Math.ceil(width / 2)];
    const sizes = { resizedHeight, resizedWidth, cropHeight: resizedHeight, cropWidth: resizedWidth };
    const geometry = { ...sizes, top: 0, left: 0 };
    const [crop] = await decodeJpegs('cuda', [{ file, height, width, geometry }]);
    const expected = await resizeCropJpeg?.(file, height, width, geometry);
    if (!crop || !expected) return; // of a kind that one of them leaves to others
    const differences = [...crop].map((value, i) => Math.abs(value - (expected[i] as number)));
    differences.sort((a, b) => a - b);
    const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
    expect(mean).toBeLessThanOrEqual(MEAN);
    const last = differences[Math.floor(differences.length * 0.999)];
    expect(last).toBeLessThanOrEqual(ALL_BUT_A_THOUSANDTH);
  });

  test('most kinds of JPEG are its own', async () => {
    let decoded = 0;
    for (const { path } of jpegs) {
      const file = readFileSync(path);
      const { height, width } = jpegFrame(file) as { height: number; width: number };
      const sizes = { resizedHeight: 9, resizedWidth: 9, cropHeight: 9, cropWidth: 9 };
      const [crop] = await decodeJpegs('cuda', [
        { file, height, width, geometry: { ...sizes, top: 0, left: 0 } },
      ]);
      if (crop) decoded++;
    }
    expect(decoded).toBeGreaterThan(jpegs.length / 2);
  });
});
