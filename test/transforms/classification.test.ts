import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import { Tensor } from '../../lib/tensor.js';
import { type ClassificationOptions, classification } from '../../lib/transforms/classification.js';
import { decodeImage } from '../../lib/transforms/decode.js';
import { GOLDEN_IMAGES, goodImages, worstDifference } from './images.js';

const china = `${GOLDEN_IMAGES}china.jpg`;

const goldens = goodImages.flatMap(({ file, path, tolerance, transformed }) =>
  transformed.map((golden) => ({ file, path, tolerance, golden, ...golden })),
);

describe('as torchvision transforms a PIL image', () => {
  test.each(goldens)('$file, resize $resizeSize, crop $cropSize, ± $tolerance', async (image) => {
    const { resizeSize, cropSize } = image;
    const tensor = await classification({ resizeSize, cropSize })(image.path);
    expect(tensor).toMatchObject({ shape: [cropSize, cropSize, 3], dtype: 'uint8', layout: 'NHWC' });
    expect(worstDifference(tensor.data, image.golden)).toBeLessThanOrEqual(image.tolerance);
  });

  test('a path, bytes and a decoded tensor give the same', async () => {
    const transform = classification();
    const { data, width, height } = await decodeImage(china);
    const [fromPath, fromBytes, fromTensor] = await Promise.all([
      transform(china),
      transform(readFileSync(china)),
      transform(Tensor.fromUint8(data, [height, width, 3])),
    ]);
    expect(Buffer.compare(fromBytes.data, fromPath.data)).toBe(0);
    expect(Buffer.compare(fromTensor.data, fromPath.data)).toBe(0);
  });

  // A Buffer's slice() is no copy. Large, so that the second half is overwritten before it is resized.
  test.each([
    ['Uint8Array', new Uint8Array(3 * 2000 * 2000)],
    ['Buffer', Buffer.alloc(3 * 2000 * 2000)],
  ])('a tensor over a %s is copied at once', async (_, pixels) => {
    pixels.fill(200);
    const pending = classification()(Tensor.fromUint8(pixels, [2000, 2000, 3]));
    pixels.fill(0, pixels.length / 2);
    expect(new Set((await pending).data)).toEqual(new Set([200]));
  });
});

describe('the transform as data', () => {
  test('its defaults are those of torchvision for ImageNet', () => {
    expect({ ...classification() }).toEqual({
      resizeSize: 256,
      cropSize: 224,
      mean: [0.485, 0.456, 0.406],
      std: [0.229, 0.224, 0.225],
      decode: 'exact',
    });
  });

  test('options show, undefined ones do not, and nothing can be changed', () => {
    const mean = [0, 0, 0];
    const options: object = { resizeSize: 232, mean, std: undefined };
    const transform = classification(options);
    mean[0] = 9;
    expect({ ...transform }).toMatchObject({ resizeSize: 232, mean: [0, 0, 0], std: [0.229, 0.224, 0.225] });
    expect(() => Object.assign(transform, { resizeSize: 1 })).toThrow(TypeError);
  });

  test.each([
    [{ resizeSize: 0 }, /resizeSize/],
    [{ resizeSize: 1.5 }, /resizeSize/],
    [{ cropSize: -1 }, /cropSize/],
    [{ cropSize: 20_000 }, /from 1 to 16384 for cropSize/],
    [{ cropSize: '224' }, /"224"/],
    [{ mean: [0.5] }, /3 finite numbers .* for mean/],
    [{ mean: [0.5, Number.NaN, 0.5] }, /mean/],
    [{ std: [0, 1, 1] }, /3 positive numbers .* for std/],
    [{ decode: 'fats' }, /did you mean "fast"/],
    [{ decode: 'device' }, /"exact" or "fast" \(where .* createClassifier, beside `transform`\)/],
    [{ maxPixels: 0 }, /maxPixels/],
    [null, /options/],
  ])('%o is refused', (options, message) => {
    expect(() => classification(options as ClassificationOptions)).toThrow(message);
    expect(() => classification(options as ClassificationOptions)).toThrow(ResNetError);
  });
});

describe('bad images', () => {
  const transform = classification();
  test.each([
    ['float32', Tensor.fromFloat32(new Float32Array(12), [2, 2, 3])],
    ['a batch', Tensor.fromUint8(new Uint8Array(12), [1, 2, 2, 3])],
    ['four channels', Tensor.fromUint8(new Uint8Array(16), [2, 2, 4])],
    ['no pixels', Tensor.fromUint8(new Uint8Array(0), [0, 2, 3])],
  ])('a tensor of %s', async (_, tensor) => {
    await expect(transform(tensor)).rejects.toMatchObject({ code: 'INVALID_SHAPE' });
  });

  test('a detached tensor', async () => {
    const pixels = new Uint8Array(12);
    const tensor = Tensor.fromUint8(pixels, [2, 2, 3]);
    structuredClone(pixels.buffer, { transfer: [pixels.buffer] });
    await expect(transform(tensor)).rejects.toMatchObject({ code: 'INVALID_SHAPE' });
  });

  test('a strip too long to resize', async () => {
    const strip = Tensor.fromUint8(new Uint8Array(3 * 100_000), [1, 100_000, 3]);
    await expect(transform(strip)).rejects.toThrow('100000x1 pixels would be resized to 25600000x256');
  });

  test('a strip that Pillow would need gigabytes for', async () => {
    const strip = Tensor.fromUint8(new Uint8Array(3 * 60_000).fill(90), [1, 60_000, 3]);
    expect(new Set((await transform(strip)).data)).toEqual(new Set([90]));
  });

  test('too many pixels', async () => {
    await expect(classification({ maxPixels: 1000 })(china)).rejects.toMatchObject({ code: 'IMAGE_DECODE' });
  });
});

describe("decode: 'fast'", () => {
  /** Mean and largest difference between the two decodings of a JPEG, as transformed. */
  async function difference(source: string, options: ClassificationOptions) {
    const exact = await classification(options)(source);
    const fast = await classification({ ...options, decode: 'fast' })(source);
    let sum = 0;
    let worst = 0;
    exact.data.forEach((value, i) => {
      const difference = Math.abs(value - (fast.data[i] as number));
      sum += difference;
      worst = Math.max(worst, difference);
    });
    return { mean: sum / exact.data.length, worst };
  }

  // Measured: mean 0.5, 1.2 and 1.9 (china.jpg), 0.4, 0.9 and 1.5 (flower.jpg); worst 26.
  test.each(
    ['china.jpg', 'flower.jpg'].flatMap((file) => [
      { file, resizeSize: 100, bound: 0.8 },
      { file, resizeSize: 50, bound: 1.5 },
      { file, resizeSize: 26, bound: 2.5 },
    ]),
  )('$file to $resizeSize is close, and not the same', async ({ file, resizeSize, bound }) => {
    const { mean, worst } = await difference(GOLDEN_IMAGES + file, { resizeSize, cropSize: resizeSize });
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(bound);
    expect(worst).toBeLessThan(32);
  });

  test('what is less than four times as large is decoded exactly', async () => {
    expect(await difference(china, { resizeSize: 214, cropSize: 200 })).toEqual({ mean: 0, worst: 0 });
  });
});

test('many transforms overlap, and the event loop goes on', async () => {
  const transform = classification();
  const expected = await transform(china);
  const { data, width, height } = await decodeImage(china);
  const wide = new Uint8Array(data.length * 30);
  for (let i = 0; i < 30; i++) wide.set(data, i * data.length);
  const tall = Tensor.fromUint8(wide, [height * 30, width, 3]);

  const start = performance.now();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const results = await Promise.all([...Array.from({ length: 24 }, () => transform(china)), transform(tall)]);
  clearInterval(timer);
  expect(results.slice(0, 24).every(({ data }) => Buffer.compare(data, expected.data) === 0)).toBe(true);
  expect(ticks).toBeGreaterThan((performance.now() - start) / 100);
});
