import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ExtractProgress, extractFeatures } from '../../lib/extract/extract-features.js';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { quantizeModel } from '../../lib/models/quantize.js';
import { calibrationImages } from '../../lib/tasks/calibration-images.js';
import { createFeatureExtractor } from '../../lib/tasks/extractor.js';
import type { Tensor } from '../../lib/tensor.js';
import { classification } from '../../lib/transforms/index.js';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { allRows, contents, readIndex, readManifest, readNpy, temporaryFolder } from './folders.js';

const COUNT = 25;
const base = temporaryFolder();
const images = join(base, 'images');
let model: Model;
let runs = 0;

const newOut = () => join(base, `out-${runs++}`);

beforeAll(async () => {
  mkdirSync(images);
  for (const file of HELD_OUT.slice(0, COUNT)) copyFileSync(file, join(images, basename(file)));
  model = await loadModel(DIGITS_MODEL);
});

describe('a folder of images', () => {
  test('gives rows that are those of session.run, in parts with an index and a manifest', async () => {
    const out = newOut();
    const options = { outputs: ['layer2', 'avgpool', 'logits'], shardSize: 10, batch: 4, out };
    const summary = await extractFeatures(model, images, options);
    expect(summary).toMatchObject({ images: COUNT, errors: 0, skipped: 0, parts: 3 });
    expect(readdirSync(out).sort()).toEqual([
      'manifest.json',
      ...['00000', '00001', '00002'].flatMap((part) => [
        `part-${part}.avgpool.npy`,
        `part-${part}.index.jsonl`,
        `part-${part}.layer2.npy`,
        `part-${part}.logits.npy`,
      ]),
    ]);
    const { parts, columns, fingerprint } = readManifest(out);
    expect(parts.map((part) => part.images)).toEqual([10, 10, 5]);
    expect(columns.map(({ shape }) => shape)).toEqual([[32, 16, 16], [64], [10]]);
    expect(fingerprint).toMatchObject({ dtype: 'float32', storeDtype: 'float32', outputs: options.outputs });
    expect(fingerprint.weights).toMatch(/^[0-9a-f]{64}$/);

    const files = readdirSync(images).sort();
    const extractor = await createFeatureExtractor(model, { outputs: options.outputs });
    const features = await extractor.extract(files.map((name) => join(images, name)));
    await extractor.close();
    for (const output of options.outputs) {
      const rows = allRows(out, output);
      expect(rows.map(({ key }) => basename(key))).toEqual(files);
      expect(rows.flatMap(({ row }) => row)).toEqual([...(features[output]?.data ?? [])]);
    }
  });

  test('float16, pooled, normalised, with the likeliest classes', async () => {
    const [plain, stored] = [newOut(), newOut()];
    await extractFeatures(model, images, { out: plain, outputs: ['layer2'] });
    const settings = { storeDtype: 'float16', pool: true, normalize: true, topK: 2 } as const;
    await extractFeatures(model, images, { out: stored, outputs: ['layer2'], ...settings });
    const { data, shape } = readNpy(join(stored, 'part-00000.layer2.npy'));
    expect(shape).toEqual([COUNT, 32]);
    const maps = [...readNpy(join(plain, 'part-00000.layer2.npy')).data];
    const means = Array.from({ length: COUNT * 32 }, (_, i) => {
      const map = maps.slice(i * 256, (i + 1) * 256);
      return map.reduce((a, b) => a + b, 0) / 256;
    });
    for (let row = 0; row < COUNT; row++) {
      const expected = means.slice(row * 32, (row + 1) * 32);
      const norm = Math.hypot(...expected);
      // A float16 has 11 bits, and what is under 2⁻¹⁴ a spacing of 2⁻²⁴.
      for (const [i, value] of expected.entries()) {
        const tolerance = 2 ** -11 * Math.abs(value / norm) + 2 ** -24;
        const half = halfToNumber(data[row * 32 + i] as number);
        expect(Math.abs(half - value / norm)).toBeLessThanOrEqual(tolerance * 1.001);
      }
    }
    for (const { key, top } of readIndex(stored, 'part-00000')) {
      expect(top?.map(({ label }) => label)).toHaveLength(2);
      expect(top?.[0]?.label).toBe(digitOf(key));
    }
  });

  test('tells its progress, with the stages and the total', async () => {
    const seen: ExtractProgress[] = [];
    const onProgress = (progress: ExtractProgress) => seen.push(progress);
    await extractFeatures(model, images, { out: newOut(), batch: 5, onProgress });
    expect(seen.map((progress) => progress.images)).toEqual([5, 10, 15, 20, 25]);
    const last = seen.at(-1) as ExtractProgress;
    expect(last.total).toBe(COUNT);
    for (const { images: done, activeMs } of Object.values(last.stages)) {
      expect(done).toBe(COUNT);
      expect(activeMs).toBeGreaterThan(0);
      expect(activeMs).toBeLessThanOrEqual(1000 * last.seconds);
    }
    expect(last.stages[last.boundedBy].activeMs).toBe(
      Math.max(...Object.values(last.stages).map(({ activeMs }) => activeMs)),
    );
  });
});

describe('other dtypes', () => {
  const files = () => readdirSync(images).map((name) => join(images, name));
  /** Held-out digits that are not among the images. */
  const calibration = (count: number) =>
    calibrationImages(HELD_OUT.slice(COUNT, COUNT + count), classification(model.transform));

  test('bfloat16 gives the rows of session.run', async () => {
    const out = newOut();
    await extractFeatures(model, files(), { out, dtype: 'bfloat16' });
    expect(readManifest(out).fingerprint).toMatchObject({ dtype: 'bfloat16' });
    const extractor = await createFeatureExtractor(model, { outputs: ['avgpool'], dtype: 'bfloat16' });
    const { avgpool } = await extractor.extract(files());
    await extractor.close();
    expect(allRows(out, 'avgpool').flatMap(({ row }) => row)).toEqual([...(avgpool?.data ?? [])]);
  });

  test('int8 gives the rows of the model that was quantised before', async () => {
    const [calibrated, quantised] = [newOut(), newOut()];
    const options = { dtype: 'int8', batch: 4 } as const;
    await extractFeatures(model, files(), { ...options, out: calibrated, calibration: calibration(16) });
    const before = await quantizeModel(model, calibration(16));
    await extractFeatures(before, files(), { ...options, out: quantised });
    expect(contents(calibrated)).toEqual(contents(quantised));
    expect(readManifest(quantised).fingerprint.scales).toMatch(/^[0-9a-f]{64}$/);
    const exact = newOut();
    await extractFeatures(model, files(), { out: exact });
    const values = (of: string) => allRows(of, 'avgpool').flatMap(({ row }) => row ?? []);
    const expected = values(exact);
    const errors = values(quantised).map((value, i) => value - (expected[i] ?? Number.NaN));
    // Rounded to 8 bits in some twenty layers, and the same features.
    expect(Math.hypot(...errors)).toBeGreaterThan(0);
    expect(Math.hypot(...errors)).toBeLessThan(0.1 * Math.hypot(...expected));
  });

  test('int8 with other scales is refused; with the same ones it resumes', async () => {
    const out = newOut();
    const options = { out, dtype: 'int8' } as const;
    await extractFeatures(model, files().slice(0, 5), { ...options, calibration: calibration(16) });
    const resume = { ...options, resume: true };
    await expect(
      extractFeatures(model, files(), { ...resume, calibration: calibration(8) }),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/of another kind.*: the scales of int8 differ: .*\. Use another folder/),
    });
    await expect(extractFeatures(model, files(), { out, resume: true })).rejects.toThrow(
      /scales of int8 differ.*dtype is "int8" there and "float32" here/,
    );
    const summary = await extractFeatures(model, files(), { ...resume, calibration: calibration(16) });
    expect(summary.skipped).toBe(5);
  });

  test('an output that is not there is told before images are calibrated with', async () => {
    const images = (async function* (): AsyncGenerator<Tensor> {
      yield await Promise.reject(new Error('the images were read'));
    })();
    const options = { out: newOut(), outputs: ['avgpol'], dtype: 'int8', calibration: images } as const;
    await expect(extractFeatures(model, files(), options)).rejects.toMatchObject({ code: 'UNKNOWN_NODE' });
  });

  test('int8 of a float32 model without images to calibrate with says what to do', async () => {
    await expect(extractFeatures(model, images, { out: newOut(), dtype: 'int8' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/--calibration.*`resnet-native quantize`/),
    });
  });
});

describe('early exit', () => {
  test('parameters behind the last node asked for are not read, and may change', async () => {
    const unread = /^(layer[23]|fc)/;
    const parameters = new Map(
      [...model.parameters].map(([key, { shape, data }]) => {
        const refuse = (): Float32Array => {
          throw new Error(`${key} was read`);
        };
        return [
          key,
          {
            shape,
            get data() {
              return unread.test(key) ? refuse() : data;
            },
          },
        ];
      }),
    );
    const { graph, transform, categories } = model;
    const headless = { graph, parameters, transform, categories };
    const out = newOut();
    await extractFeatures(headless, images, { out, outputs: ['layer1'] });
    const same = await extractFeatures(model, images, { out, outputs: ['layer1'], resume: true });
    expect(same.skipped).toBe(COUNT);
    await expect(extractFeatures(headless, images, { out: newOut() })).rejects.toThrow(/was read/);
  });

  test('what lies behind the last node asked for is neither run nor needed', async () => {
    const extractor = await createFeatureExtractor(model, { outputs: ['layer1'] });
    const steps = extractor.session.plan.map(({ name }) => name);
    await extractor.close();
    expect(steps.some((name) => name.startsWith('layer1'))).toBe(true);
    expect(steps.filter((name) => /^(layer[234]|avgpool|flatten|fc)/.test(name))).toEqual([]);
  });
});

describe('bad files', () => {
  const bad = join(base, 'bad');

  beforeAll(() => {
    mkdirSync(bad);
    for (const [i, file] of HELD_OUT.slice(0, 6).entries()) copyFileSync(file, join(bad, `${i}.png`));
    writeFileSync(join(bad, '1.png'), 'no image');
    writeFileSync(join(bad, '4.png'), '');
  });

  test('are rows with an error, counted, and the others keep their places', async () => {
    const out = newOut();
    const summary = await extractFeatures(model, bad, { out, batch: 2, shardSize: 4 });
    expect(summary).toMatchObject({ images: 6, errors: 2, parts: 2 });
    const lines = [...readIndex(out, 'part-00000'), ...readIndex(out, 'part-00001')];
    expect(lines.map(({ row, error }) => row ?? error?.code)).toEqual([
      0,
      'IMAGE_DECODE',
      1,
      2,
      'IMAGE_DECODE',
      0,
    ]);
    expect(readManifest(out).parts.map(({ errors }) => errors)).toEqual([1, 1]);
    expect(readNpy(join(out, 'part-00000.avgpool.npy')).shape).toEqual([3, 64]);
  });

  test('a part of nothing else is a part without rows', async () => {
    const out = newOut();
    await extractFeatures(model, [join(bad, '1.png'), join(bad, '4.png')], { out });
    expect(readNpy(join(out, 'part-00000.avgpool.npy')).shape).toEqual([0, 64]);
  });

  test('more than maxErrors end the run with the last one, and finished parts stay', async () => {
    const out = newOut();
    const options = { out, batch: 1, shardSize: 3 };
    await expect(extractFeatures(model, bad, { ...options, maxErrors: 1 })).rejects.toMatchObject({
      code: 'IMAGE_DECODE',
      message: expect.stringMatching(/2 images could not be read, more than maxErrors, 1; the last: .*empty/),
    });
    expect(readManifest(out).parts.map(({ name }) => name)).toEqual(['part-00000']);
    expect(readdirSync(out).filter((name) => /tmp|lock/.test(name))).toEqual([]);
    await extractFeatures(model, bad, { ...options, maxErrors: 2, resume: true });
    expect(allRows(out, 'avgpool')).toHaveLength(6);
  });
});

describe('resume', () => {
  test('after an abort it goes on to what an undisturbed run writes, byte for byte', async () => {
    const [whole, halted] = [newOut(), newOut()];
    const options = { shardSize: 6, batch: 2 };
    await extractFeatures(model, images, { ...options, out: whole });
    const controller = new AbortController();
    const onProgress = ({ images: done }: ExtractProgress) => {
      if (done >= 14) controller.abort(new Error('enough'));
    };
    const { signal } = controller;
    await expect(
      extractFeatures(model, images, { ...options, out: halted, signal, onProgress }),
    ).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: new Error('enough') });
    const summary = await extractFeatures(model, images, { ...options, out: halted, resume: true });
    expect(summary.skipped).toBe(12);
    expect(contents(halted)).toEqual(contents(whole));
  });

  test('adds what is new and nothing twice', async () => {
    const out = newOut();
    const files = readdirSync(images).map((name) => join(images, name));
    await extractFeatures(model, files.slice(3, 9), { out });
    const summary = await extractFeatures(model, files, { out, resume: true });
    expect(summary).toMatchObject({ images: COUNT - 6, skipped: 6, parts: 2 });
    expect(
      allRows(out, 'avgpool')
        .map(({ key }) => key)
        .sort(),
    ).toEqual(files.sort());
    expect(await extractFeatures(model, files, { out, resume: true })).toMatchObject({ images: 0, parts: 2 });
  });

  test('is refused for features of another kind, with what differs, and without the option', async () => {
    const out = newOut();
    await extractFeatures(model, images, { out });
    const another = await loadModel(DIGITS_MODEL);
    const bias = another.stateDict().get('bn1.bias');
    if (bias) bias.data = Float32Array.from(bias.data as Float32Array, (value) => value + 1);
    const refused = (options: object, message: RegExp, of = model) =>
      expect(extractFeatures(of, images, { out, resume: true, ...options })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(message),
      });
    await refused({ resume: false }, /holds features already: go on with resume/);
    await refused({ outputs: ['layer2'] }, /outputs is \["avgpool"\] there and \["layer2"\] here/);
    await refused({ normalize: true }, /normalize is false there and true here/);
    await refused({ transform: { resizeSize: 40 } }, /transform is .*"resizeSize":32.* there/);
    await refused({}, /the weights differ/, another);
  });

  test('says which file of a finished part is gone or cut', async () => {
    const out = newOut();
    await extractFeatures(model, images, { out });
    writeFileSync(join(out, 'part-00000.avgpool.npy'), 'cut');
    await expect(extractFeatures(model, images, { out, resume: true })).rejects.toMatchObject({
      code: 'FILE',
      message: expect.stringMatching(/avgpool\.npy has 3 bytes but was written with 6528: restore it/),
    });
  });

  test('two runs at once in one folder are refused', async () => {
    const out = newOut();
    const outcomes = await Promise.allSettled([
      extractFeatures(model, images, { out }),
      extractFeatures(model, images, { out }),
    ]);
    const [winner, loser] = outcomes.sort((a, b) => (a.status < b.status ? -1 : 1));
    expect(winner).toMatchObject({ status: 'fulfilled', value: { images: COUNT } });
    expect(loser).toMatchObject({ status: 'rejected', reason: { name: 'ResNetError' } });
    const abandoned = { pid: 2 ** 30, host: hostname() };
    writeFileSync(join(out, '.lock'), JSON.stringify(abandoned));
    expect(await extractFeatures(model, images, { out, resume: true })).toMatchObject({ skipped: COUNT });
    writeFileSync(join(out, '.lock'), JSON.stringify({ pid: 1, host: 'elsewhere' }));
    await expect(extractFeatures(model, images, { out, resume: true })).rejects.toThrow(
      /Process 1 on elsewhere/,
    );
  });
});

describe('options that make no sense', () => {
  test.each<[object, RegExp]>([
    [{ out: '' }, /a folder for out/],
    [{ outputs: [] }, /at least one node name/],
    [{ outputs: ['avgpool', 'avgpool'] }, /each node once/],
    [{ format: 'numpy' }, /one of "npy", "parquet", "safetensors"/],
    [{ format: 'parquet', storeDtype: 'float16' }, /float32, which is what parquet holds/],
    [{ shardSize: 0 }, /at least 1 for shardSize/],
    [{ maxErrors: -1 }, /at least 0 for maxErrors/],
    [{ pool: 1 }, /true or false for pool/],
    [{ shardsize: 5 }, /no option "shardsize"/],
  ])('%j', async (options, message) => {
    await expect(extractFeatures(model, images, { out: newOut(), ...options })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });
});

function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const magnitude = exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}
