import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { createFeatureExtractor, FeatureExtractor } from '../../lib/tasks/extractor.js';
import { Tensor } from '../../lib/tensor.js';
import { classification } from '../../lib/transforms/index.js';
import { DIGITS_MODEL, HELD_OUT } from './digits.js';

const FILES = HELD_OUT.slice(0, 10);
const OUTPUTS = ['layer2', 'avgpool', 'logits', 'layer3.2.relu_1'];

let model: Model;
let extractor: FeatureExtractor;
let batch: Tensor;

beforeAll(async () => {
  model = await loadModel(DIGITS_MODEL);
  extractor = await createFeatureExtractor(model, { device: 'cpu', outputs: OUTPUTS, maxBatch: 4 });
  const images = await Promise.all(FILES.map((file) => classification(model.transform)(file)));
  batch = Tensor.fromUint8(Buffer.concat(images.map(({ data }) => data)), [FILES.length, 32, 32, 3]);
});

afterAll(() => extractor.close());

describe('extract', () => {
  test('gives what the session computes, over the borders of batches, avgpool as rows', async () => {
    const features = await extractor.extract(FILES);
    expect(Object.entries(features).map(([name, { shape }]) => [name, shape])).toEqual([
      ['layer2', [10, 32, 16, 16]],
      ['avgpool', [10, 64]],
      ['logits', [10, 10]],
      ['layer3.2.relu_1', [10, 64, 8, 8]],
    ]);
    const session = await model.compile({ device: 'reference', outputs: OUTPUTS });
    const expected = await session.run(batch);
    await session.close();
    expect(expected.avgpool?.shape).toEqual([10, 64, 1, 1]);
    for (const name of OUTPUTS) {
      const actual = features[name]?.data ?? new Float32Array();
      const truth = expected[name]?.data ?? new Float32Array();
      const largest = truth.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const worst = truth.reduce((a, b, i) => Math.max(a, Math.abs(b - (actual[i] ?? Number.NaN))), 0);
      expect(largest).toBeGreaterThan(0);
      expect(worst / largest).toBeLessThan(1e-5);
    }
  });

  test('a tensor of n images makes n rows', async () => {
    const fromTensor = await extractor.extract([batch]);
    expect(fromTensor).toEqual(await extractor.extract(FILES));
  });

  test('no images give no features', async () => {
    expect(await extractor.extract([])).toEqual({});
  });

  test('images of different sizes are an error that names the image, where features differ in shape', async () => {
    const large = Tensor.fromUint8(new Uint8Array(40 * 40 * 3), [40, 40, 3]);
    await expect(extractor.extract([FILES[0] as string, large])).rejects.toMatchObject({
      code: 'INVALID_SHAPE',
      message: expect.stringMatching(/layer2 .*\[32, 16, 16\].*image 1 gives \[32, 20, 20\]/),
    });
    const pooled = await createFeatureExtractor(model, { device: 'cpu', outputs: ['avgpool'] });
    const { avgpool } = await pooled.extract([FILES[0] as string, large]);
    await pooled.close();
    expect(avgpool?.shape).toEqual([2, 64]);
  });

  test('a bad image rejects everything', async () => {
    await expect(extractor.extract([...FILES, DIGITS_MODEL])).rejects.toMatchObject({ code: 'IMAGE_DECODE' });
  });

  test('can be aborted', async () => {
    const signal = AbortSignal.timeout(1);
    const many = Array.from({ length: 100 }, () => HELD_OUT).flat();
    await expect(extractor.extract(many, { signal })).rejects.toMatchObject({
      name: 'AbortError',
      cause: { name: 'TimeoutError' },
    });
  });
});

describe('createFeatureExtractor', () => {
  test('compiles nothing behind the last output', async () => {
    const early = await createFeatureExtractor(model, { device: 'cpu', outputs: ['layer1'] });
    const names = early.session.plan.map(({ name }) => name);
    await early.close();
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => /^(layer[23]|avgpool|flatten|fc)/.test(name))).toEqual([]);
  });

  test('says what is no node, no list, and nothing at all', async () => {
    const create = (outputs: unknown) => createFeatureExtractor(model, { outputs: outputs as string[] });
    await expect(create(['layer4'])).rejects.toMatchObject({
      code: 'UNKNOWN_NODE',
      message: expect.stringContaining('did you mean'),
    });
    for (const outputs of [undefined, [], 'avgpool', [3]]) {
      await expect(create(outputs)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    }
  });

  test('a closed extractor refuses', async () => {
    const other = await createFeatureExtractor(model, { device: 'cpu', outputs: ['avgpool'] });
    await other[Symbol.asyncDispose]();
    await expect(other.extract(FILES)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
  });
});

test('features that do not fit in memory are an error that says what to do', async () => {
  // 2^42 of them: what no array can have.
  const path = {
    session: { channels: 3 },
    run: async function* () {
      yield { rows: { wide: { shape: [2 ** 21, 2 ** 21], data: new Float32Array(1) } } };
    },
  };
  const wide = new FeatureExtractor(path as never, new Set());
  await expect(wide.extract(['a.png'])).rejects.toMatchObject({
    code: 'OUT_OF_MEMORY',
    message: expect.stringMatching(
      /features of wide .* smaller lists, or use extractor.stream or extractFeatures/,
    ),
  });
});

test('options that are none', async () => {
  await expect(extractor.extract([], null as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(createFeatureExtractor(model, null as never)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
