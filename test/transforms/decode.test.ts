import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import { decodeImage } from '../../lib/transforms/decode.js';
import { badImages, GOLDEN_IMAGES, goodImages, worstDifference } from './images.js';

const china = `${GOLDEN_IMAGES}china.jpg`;

async function failure(promise: Promise<unknown>): Promise<ResNetError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ResNetError);
  return error as ResNetError;
}

describe('as Pillow decodes', () => {
  test.each(goodImages)('$file ($description), ± $tolerance', async (image) => {
    const decoded = await decodeImage(image.path);
    expect([decoded.width, decoded.height]).toEqual([image.decoded.width, image.decoded.height]);
    expect(worstDifference(decoded.data, image.decoded)).toBeLessThanOrEqual(image.tolerance);
  });

  test.each(badImages)('$file ($description) is refused', async (image) => {
    const error = await failure(decodeImage(image.path));
    expect(error.code).toBe('IMAGE_DECODE');
    expect(error.message).toContain(image.file);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('bytes decode as the file does, and are copied at once', async () => {
    const bytes = new Uint8Array(readFileSync(china));
    const pending = decodeImage(bytes);
    bytes.fill(0);
    const [fromBytes, fromFile] = await Promise.all([pending, decodeImage(china)]);
    expect(Buffer.compare(fromBytes.data, fromFile.data)).toBe(0);
  });
});

describe('files cut off', () => {
  const files = [
    'jpeg-420.jpg',
    'jpeg-progressive.jpg',
    'png-rgb.png',
    'webp-lossy.webp',
    'gif.gif',
    'tiff-lzw.tiff',
  ];
  test.each(files.flatMap((file) => [0.3, 0.6, 0.9].map((part) => ({ file, part }))))(
    '$file, $part of it',
    async ({ file, part }) => {
      const bytes = readFileSync(GOLDEN_IMAGES + file);
      const error = await failure(decodeImage(bytes.subarray(0, Math.floor(bytes.length * part))));
      expect(error.code).toBe('IMAGE_DECODE');
    },
  );

  test('any length, and any byte changed, gives a picture or an IMAGE_DECODE', async () => {
    let random = 1;
    const next = (below: number) => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    for (const { path } of goodImages.filter((image) => image.decoded.width * image.decoded.height < 8000)) {
      const whole = readFileSync(path);
      for (let i = 0; i < 12; i++) {
        const bytes = Buffer.from(whole.subarray(0, i % 2 ? whole.length : next(whole.length)));
        // The first hundred bytes are headers, mostly.
        for (let n = next(4); n > 0; n--) bytes[next(Math.min(bytes.length, n % 2 ? 100 : 1e9))] = next(256);
        const outcome = await decodeImage(bytes, { maxPixels: 1_000_000 }).catch((error) => error);
        if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'IMAGE_DECODE' });
        else expect(outcome.data.length).toBe(outcome.width * outcome.height * 3);
      }
    }
  });
});

describe('what is no image', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'resnet-native-decode-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('an absent file', async () => {
    const error = await failure(decodeImage(join(folder, 'absent.jpg')));
    expect(error.code).toBe('FILE');
    expect(error.message).toMatch(/absent\.jpg.*no such file/);
  });

  test('a folder', async () => {
    expect(await failure(decodeImage(folder))).toMatchObject({
      code: 'FILE',
      message: expect.stringMatching(/ is a folder$/),
    });
  });

  test.skipIf(process.platform === 'win32')('a named pipe, without waiting for its writer', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(await failure(decodeImage(pipe))).toMatchObject({ code: 'FILE' });
  });

  test.each([
    ['empty', ''],
    ['text', 'hello'],
    [
      'svg',
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    ],
    ['pdf', '%PDF-1.7\n'],
    ['almost-jpeg', '\xff\xd8'],
  ])('a file of other content: %s', async (name, content) => {
    const path = join(folder, `${name}.jpg`);
    writeFileSync(path, content, 'latin1');
    const error = await failure(decodeImage(path));
    expect(error.code).toBe('IMAGE_DECODE');
    expect(error.message).toContain(path);
    expect(error.message).toContain('expected JPEG, PNG');
    expect(await failure(decodeImage(Buffer.from(content, 'latin1')))).toMatchObject({
      code: 'IMAGE_DECODE',
    });
  });

  test.each(['https://example.org/cat.jpg', 'file:///cat.jpg', 'data:image/png;base64,AAAA'])(
    'a URL is not fetched: %s',
    async (url) => {
      const error = await failure(decodeImage(url));
      expect(error.code).toBe('INVALID_ARGUMENT');
      expect(error.message).toContain('not fetched');
    },
  );

  test.each([undefined, null, 7, {}, new ArrayBuffer(4), '', 'a\0b'])('%o', async (value) => {
    expect(await failure(decodeImage(value as string))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('a detached buffer', async () => {
    const bytes = new Uint8Array(readFileSync(china));
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    expect(await failure(decodeImage(bytes))).toMatchObject({ code: 'IMAGE_DECODE' });
  });
});

describe('options', () => {
  test('a picture over maxPixels is refused, one of just as many is not', async () => {
    const { width, height } = await decodeImage(china, { maxPixels: 640 * 427 });
    expect(width * height).toBe(640 * 427);
    const error = await failure(decodeImage(china, { maxPixels: 640 * 427 - 1 }));
    expect(error.code).toBe('IMAGE_DECODE');
    expect(error.message).toMatch(/china\.jpg.*pixel limit/);
  });

  test.each([{ maxPixels: 0 }, { maxPixels: 1.5 }, { shrinkTo: -1 }, { shrinkTo: Number.NaN }])(
    '%o',
    async (options) => {
      expect(await failure(decodeImage(china, options))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    },
  );

  test.each([
    [427, 640, 427],
    [214, 640, 427],
    [213, 319, 213],
    [60, 90, 60],
    [1, 1, 1],
  ])('shrinkTo %i decodes to %i x %i', async (shrinkTo, width, height) => {
    const decoded = await decodeImage(china, { shrinkTo });
    expect(decoded).toMatchObject({ width, height, fileWidth: 640, fileHeight: 427 });
    expect(decoded.data.length).toBe(width * height * 3);
  });

  test('only JPEGs are shrunk', async () => {
    expect(await decodeImage(`${GOLDEN_IMAGES}png-rgb.png`, { shrinkTo: 1 })).toMatchObject({
      width: 67,
      height: 45,
    });
  });
});
