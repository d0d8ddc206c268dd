import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../lib/models/load.js';
import type { SourceAdapter } from '../../lib/sources/adapter.js';
import { createFeatureExtractor, type FeatureExtractor } from '../../lib/tasks/extractor.js';
import { DIGITS_MODEL, HELD_OUT } from '../tasks/digits.js';
import { temporaryFolder } from './folders.js';

const base = temporaryFolder();
const images = join(base, 'images');
let extractor: FeatureExtractor;

beforeAll(async () => {
  mkdirSync(images);
  for (const [i, file] of HELD_OUT.slice(0, 5).entries()) copyFileSync(file, join(images, `${i}.png`));
  const options = { outputs: ['layer1', 'avgpool'], maxBatch: 2 };
  extractor = await createFeatureExtractor(await loadModel(DIGITS_MODEL), options);
});

afterAll(() => extractor.close());

test('gives each image with its key and the features that extract gives', async () => {
  const { avgpool, layer1 } = await extractor.extract(HELD_OUT.slice(0, 5));
  const seen: string[] = [];
  for await (const { key, features } of extractor.stream(images)) {
    const row = seen.push(key) - 1;
    expect(features.avgpool?.shape).toEqual([64]);
    expect(features.layer1?.shape).toEqual(layer1?.shape.slice(1));
    expect(features.avgpool?.data).toEqual(avgpool?.data.slice(row * 64, (row + 1) * 64));
  }
  expect(seen).toEqual([0, 1, 2, 3, 4].map((i) => join(images, `${i}.png`)));
});

test('waits for its reader, with a bounded number of images under way', async () => {
  let opened = 0;
  const endless: SourceAdapter = {
    async *list() {
      for (let i = 0; ; i++) yield `${i}.png`;
    },
    async open() {
      opened++;
      return (async function* () {
        yield new Uint8Array(Buffer.from('no image'));
      })();
    },
  };
  let taken = 0;
  for await (const { error } of extractor.stream(endless, { onError: 'return' })) {
    expect(error?.code).toBe('IMAGE_DECODE');
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (++taken === 100) break;
  }
  expect(opened).toBeLessThan(taken + 100);
});

test('a bad image ends it, or is an error in its place', async () => {
  writeFileSync(join(base, 'bad.png'), 'no image');
  const source = [join(images, '0.png'), join(base, 'bad.png'), join(images, '1.png')];
  const codes: (string | undefined)[] = [];
  for await (const { error } of extractor.stream(source, { onError: 'return' })) codes.push(error?.code);
  expect(codes).toEqual([undefined, 'IMAGE_DECODE', undefined]);
  const all = async () => {
    for await (const _ of extractor.stream(source));
  };
  await expect(all()).rejects.toMatchObject({ code: 'IMAGE_DECODE' });
});

test('a signal ends it', async () => {
  const controller = new AbortController();
  const taken: string[] = [];
  const all = async () => {
    for await (const { key } of extractor.stream(images, { signal: controller.signal })) {
      taken.push(key);
      controller.abort('enough');
    }
  };
  await expect(all()).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
  expect(taken.length).toBeLessThanOrEqual(2);
});
