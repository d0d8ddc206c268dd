import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { native } from '../../lib/runtime/native.js';
import { decodeImage } from '../../lib/transforms/decode.js';
import { jpegFrame } from '../../lib/transforms/headers.js';
import { GOLDEN_IMAGES, goodImages } from './images.js';

// The addon's own way from a JPEG to a crop, which it has where the machine has TurboJPEG, against the way over sharp.

const { resizeCropJpeg } = native();
const LEFT_TO_SHARP = /cmyk|ycck|440/;

/** The top left corner of the picture at half its size. */
function cornerOf({ width, height }: { width: number; height: number }) {
  const resized = { resizedHeight: Math.ceil(height / 2), resizedWidth: Math.ceil(width / 2) };
  return { ...resized, top: 0, left: 0, cropHeight: 32, cropWidth: 32 };
}

async function cropNatively(file: Uint8Array): Promise<Uint8Array | null | undefined> {
  const frame = jpegFrame(Buffer.from(file));
  return frame && resizeCropJpeg?.(file, frame.height, frame.width, cornerOf(frame));
}

if (!resizeCropJpeg) test('plain JPEGs', (context) => context.skip('this machine has no TurboJPEG'));

describe.skipIf(!resizeCropJpeg)('plain JPEGs', () => {
  const jpegs = goodImages.filter(({ file }) => file.endsWith('.jpg'));

  test.each(jpegs)('$file: the pixels that sharp gives, or left to it', async ({ file, path }) => {
    const crop = await cropNatively(readFileSync(path));
    expect(crop === null).toBe(LEFT_TO_SHARP.test(file));
    if (!crop) return;
    const { data, width, height } = await decodeImage(path);
    const expected = await native().resizeCrop(data, height, width, cornerOf({ width, height }));
    expect(Buffer.compare(crop, expected)).toBe(0);
  });

  test('what is cut off, damaged or of another size is left to sharp', async () => {
    const whole = readFileSync(`${GOLDEN_IMAGES}jpeg-420.jpg`);
    expect(await cropNatively(whole)).not.toBeNull();
    for (const length of [whole.length - 2, whole.length - 100, Math.floor(whole.length / 2), 700]) {
      expect(await cropNatively(whole.subarray(0, length))).toBeFalsy();
    }
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, whole.length / 2, whole.length / 2 + 40);
    expect(await cropNatively(damaged)).toBeNull();
    const { width, height } = jpegFrame(whole) as { width: number; height: number };
    expect(await resizeCropJpeg?.(whole, height + 1, width, cornerOf({ width, height }))).toBeNull();
  });
});
