import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { BasicBlock, createClassifier, createFeatureExtractor, ResNet } from '../../lib/index.js';
import { type NativeJpeg, native } from '../../lib/runtime/native.js';
import type { Failure } from '../../lib/tasks/classifier.js';
import { jpegFrame } from '../../lib/transforms/headers.js';
import { SIMULATED_LIBRARY, WHY_NO_SIMULATION } from '../runtime/simulated-cuda.js';
import { GOLDEN_IMAGES, goodImages } from '../transforms/images.js';

// `decode: 'device'` through the CUDA backend's own memory, filters and passes, on a simulated GPU whose decoder is the
// host's: so its crops are those of the host, to the byte. What nvJPEG gives is for a machine that has a GPU.

// Before the addon is asked for a device.
vi.stubEnv('RESNET_NATIVE_CUDA_LIBRARY', SIMULATED_LIBRARY);
afterAll(() => void vi.unstubAllEnvs());

const { resizeCropJpeg, decodeJpegs } = native();
const whyNot = WHY_NO_SIMULATION || (resizeCropJpeg ? '' : ' (skipped: this machine has no TurboJPEG)');

const network = () => new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 10 });
const transform = { resizeSize: 40, cropSize: 32 };
const files = goodImages.map(({ path }) => path);

/** The middle of the picture at a third of its height and half its width, and others. */
function request(path: string, scale: number) {
  const file = readFileSync(path);
  const frame = jpegFrame(file);
  if (!frame) return undefined;
  const [resizedHeight, resizedWidth] = [Math.ceil(frame.height / 3), Math.ceil(frame.width * scale)];
  const [cropHeight, cropWidth] = [Math.ceil(resizedHeight / 2), Math.ceil(resizedWidth / 2)];
  const geometry = { resizedHeight, resizedWidth, top: resizedHeight >> 2, left: resizedWidth >> 2 };
  return { file, height: frame.height, width: frame.width, geometry: { ...geometry, cropHeight, cropWidth } };
}

describe.skipIf(whyNot !== '')(`JPEGs decoded on a simulated GPU${whyNot}`, () => {
  test('many files of many sizes at once: each is what the host makes of it', async () => {
    const jpegs = files.filter((path) => path.endsWith('.jpg'));
    const requests = [0.5, 1, 1.7].flatMap((scale) => jpegs.flatMap((path) => request(path, scale) ?? []));
    const plain: { one: NativeJpeg; crop: Uint8Array }[] = [];
    for (const one of requests) {
      const crop = await resizeCropJpeg?.(one.file, one.height, one.width, one.geometry);
      if (crop) plain.push({ one, crop });
    }
    expect(plain.length).toBeGreaterThan(20);
    const crops = await decodeJpegs(
      'cuda',
      [...plain, ...plain, ...plain].map(({ one }) => one),
    );
    crops.forEach((crop, i) => {
      expect(crop).toEqual(plain[i % plain.length]?.crop);
    });
  });

  test('what the decoder cannot do is left to others', async () => {
    const good = request(files.find((path) => path.endsWith('jpeg-420.jpg')) as string, 1);
    if (!good) throw new Error('no picture');
    const outside = { ...good, geometry: { ...good.geometry, top: -1 } };
    expect(await decodeJpegs('cuda', [outside])).toEqual([null]);
    expect(await decodeJpegs('cuda', [{ ...good, file: new Uint8Array(10) }])).toEqual([null]);
    expect(await decodeJpegs('cuda', [{ ...good, file: good.file.subarray(0, 900) }])).toEqual([null]);
    expect(await decodeJpegs('cuda', [good])).not.toEqual([null]);
  });

  test('a damaged file spoils none beside it', async () => {
    const good = request(files.find((path) => path.endsWith('jpeg-420.jpg')) as string, 1);
    if (!good) throw new Error('no picture');
    const damaged = { ...good, file: good.file.subarray(0, 900) };
    const crop = await resizeCropJpeg?.(good.file, good.height, good.width, good.geometry);
    expect(await decodeJpegs('cuda', [good, damaged, good])).toEqual([crop, null, crop]);
  });

  test('a classifier gives what it gives with the host’s decoder, for every kind of image', async () => {
    const model = network();
    const onDevice = await createClassifier(model, { device: 'cuda', decode: 'device', transform });
    const onHost = await createClassifier(model, { device: 'cuda', decode: 'host', transform });
    const all = [...files, `${GOLDEN_IMAGES}jpeg-truncated.jpg`, `${GOLDEN_IMAGES}nothing.jpg`];
    const results = await onDevice.classify(all, { onError: 'return' });
    expect(withoutMessages(results)).toEqual(
      withoutMessages(await onHost.classify(all, { onError: 'return' })),
    );
    await onDevice.close();
    await onHost.close();
  });

  test('an extractor does, too', async () => {
    const options = { device: 'cuda', outputs: ['avgpool'], transform } as const;
    const model = network();
    const onDevice = await createFeatureExtractor(model, { ...options, decode: 'device' });
    const onHost = await createFeatureExtractor(model, options);
    expect(await onDevice.extract(files)).toEqual(await onHost.extract(files));
    await onDevice.close();
    await onHost.close();
  });
});

/** What is wrong with a damaged file, libvips says now in these words and now in those. */
function withoutMessages(results: readonly (object | Failure)[]): unknown[] {
  return results.map((result) => ('error' in result ? result.error.code : result));
}

test('the CPU decodes on the host only, and says so', async () => {
  const options = { device: 'cpu', decode: 'device' } as const;
  const error = { code: 'UNSUPPORTED', message: expect.stringMatching(/decodes no images.*decode: 'host'/) };
  await expect(createClassifier(network(), options)).rejects.toMatchObject(error);
  await expect(createFeatureExtractor(network(), { ...options, outputs: ['avgpool'] })).rejects.toMatchObject(
    error,
  );
});

test('options that cannot be', async () => {
  const options = { device: 'cpu', decode: 'gpu' } as unknown as { device: string };
  await expect(createClassifier(network(), options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const how = { device: 'cpu', decode: 'fast' } as unknown as { device: string };
  await expect(createClassifier(network(), how)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/"host" or "device" \(or `transform: \{ decode: "fast" \}`\) for decode/),
  });
  const own = Object.assign(async () => Promise.reject(), network().transform) as never;
  await expect(createClassifier(network(), { decode: 'device', transform: own })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
