import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import { native } from '../../lib/runtime/native.js';
import type { DecodeJpeg } from '../../lib/transforms/classification.js';
import { jpegsOn } from '../../lib/transforms/device-jpegs.js';
import { SIMULATED_LIBRARY, WHY_NO_SIMULATION } from '../runtime/simulated-cuda.js';
import { GOLDEN_IMAGES } from '../transforms/images.js';

// `decode: 'device'` on a simulated GPU that has memory for one picture, but not for many at once.

const MEMORY = 4_000_000;
const [HEIGHT, WIDTH] = [427, 640]; // 820 kB of pixels
const TOGETHER = 20;

// Before the addon is asked for a device.
vi.stubEnv('RESNET_NATIVE_CUDA_LIBRARY', SIMULATED_LIBRARY);
vi.stubEnv('SIMULATED_MEMORY', String(MEMORY));
afterAll(() => void vi.unstubAllEnvs());
afterEach(() => void vi.restoreAllMocks());

const { resizeCropJpeg } = native();
const whyNot = WHY_NO_SIMULATION || (resizeCropJpeg ? '' : ' (skipped: this machine has no TurboJPEG)');

describe.skipIf(whyNot !== '')(`a GPU with little memory${whyNot}`, () => {
  const file = readFileSync(`${GOLDEN_IMAGES}china.jpg`);
  const geometry = { resizedHeight: 64, resizedWidth: 96, top: 4, left: 20, cropHeight: 56, cropWidth: 56 };
  const jpegOf = (of: typeof geometry) => [file, HEIGHT, WIDTH, of] as const;
  const jpeg = jpegOf(geometry);
  let hosts: Uint8Array | null | undefined;
  let decode: DecodeJpeg;
  beforeAll(async () => {
    hosts = await resizeCropJpeg?.(...jpeg);
    expect(hosts).toBeInstanceOf(Uint8Array);
    decode = await jpegsOn('cuda');
  });
  const crops = () => Promise.all(Array.from({ length: TOGETHER }, () => decode(...jpeg)));

  test('takes one by one what it has no memory for together', async () => {
    const files = Array.from({ length: TOGETHER }, () => ({ file, height: HEIGHT, width: WIDTH, geometry }));
    for (const crop of await native().decodeJpegs('cuda', files)) expect(crop).toEqual(hosts);
  });

  test('leaves to the host what it has no memory for at all', async () => {
    const large = {
      resizedHeight: 640,
      resizedWidth: 3200,
      top: 4,
      left: 20,
      cropHeight: 600,
      cropWidth: 3000,
    };
    const request = { file, height: HEIGHT, width: WIDTH, geometry: large };
    expect(await native().decodeJpegs('cuda', [request])).toEqual([null]);
    const [crop, expected] = [decode(...jpegOf(large)), resizeCropJpeg?.(...jpegOf(large))];
    // Of megabytes, toEqual takes half a minute.
    expect(Buffer.compare((await crop) ?? Buffer.of(), (await expected) ?? Buffer.of(0))).toBe(0);
  });

  test('leaves a batch to the host that fails for want of memory', async () => {
    const failing = vi
      .spyOn(native(), 'decodeJpegs')
      .mockRejectedValue(new ResNetError('OUT_OF_MEMORY', 'none left'));
    for (const crop of await crops()) expect(crop).toEqual(hosts);
    expect(failing).toHaveBeenCalledOnce();
  });

  test('rejects what fails for another reason', async () => {
    vi.spyOn(native(), 'decodeJpegs').mockRejectedValue(new ResNetError('DEVICE_LOST', 'gone'));
    await expect(crops()).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  });
});
