import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../lib/models/load.js';
import { createClassifier } from '../../lib/tasks/classifier.js';
import { createFeatureExtractor } from '../../lib/tasks/extractor.js';
import { tinyNetwork } from '../runtime/tiny-network.js';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { answer, type Started, start } from './start.js';

const FILES = HELD_OUT.slice(0, 6);
const [FIRST] = FILES as [string];

let server: Started;
beforeAll(async () => {
  const defaults = { device: 'cpu', threads: 1, maxBatch: 4, outputs: ['logits', 'avgpool'] };
  server = await start({ models: { digits: DIGITS_MODEL }, defaults, bodyLimit: 200_000 });
});

const post = (path: string, body: string | Buffer | FormData, headers: Record<string, string> = {}) =>
  answer(fetch(server.url + path, { method: 'POST', body, headers }));

const jpeg = (path: string) => new Blob([readFileSync(path)], { type: 'image/png' });

function form(files: readonly string[]): FormData {
  const data = new FormData();
  for (const path of files) data.append('files', jpeg(path), basename(path));
  return data;
}

interface Images {
  readonly images: {
    file: string | null;
    results: { index: number; label: string; probability: number }[];
  }[];
}

describe('classify', () => {
  test('a plain body gives what the classifier gives', async () => {
    const { status, body } = await post('/v1/classify?top=3', readFileSync(FIRST), {
      'content-type': 'image/png',
    });
    expect(status).toBe(200);
    const classifier = await createClassifier(await loadModel(DIGITS_MODEL), { device: 'cpu', threads: 1 });
    const [wanted] = await classifier.classify([FIRST], { topK: 3 });
    await classifier.close();
    expect(body).toMatchObject({ model: 'digits', version: '1', images: [{ file: null }] });
    const [image] = (body as Images).images;
    expect(image?.results.map(({ index, label }) => [index, label])).toEqual(
      wanted?.map(({ index, label }) => [index, label]),
    );
    expect(image?.results[0]?.probability).toBeCloseTo(wanted?.[0]?.probability as number, 5);
  });

  test('many files of a form, more than a batch, come back in their order', async () => {
    const { status, body } = await post('/v1/classify', form(FILES));
    expect(status).toBe(200);
    const { images } = body as Images;
    expect(images.map(({ file }) => file)).toEqual(FILES.map((path) => basename(path)));
    expect(images.map(({ results }) => results[0]?.label)).toEqual(FILES.map(digitOf));
  });

  test('more files than may wait are no reason to refuse: the server is idle', async () => {
    const { url } = await start({
      models: { digits: { model: DIGITS_MODEL, maxQueue: 1 } },
      defaults: { device: 'cpu', threads: 1, maxBatch: 4 },
    });
    const files = Array.from({ length: 60 }, (_, i) => HELD_OUT[i % 10] as string);
    const { status, body } = await answer(fetch(`${url}/v1/classify`, { method: 'POST', body: form(files) }));
    expect(status).toBe(200);
    const { images } = body as Images;
    expect(images.map(({ results }) => results[0]?.label)).toEqual(files.map(digitOf));
  });

  test('a picture of more pixels than there is patience for is refused before it is decoded', async () => {
    const limited = { model: DIGITS_MODEL, transform: { maxPixels: 63 } };
    const { url } = await start({ models: { digits: limited } });
    const body = readFileSync(FIRST);
    expect(await answer(fetch(`${url}/v1/classify`, { method: 'POST', body }))).toMatchObject({
      status: 400,
      body: { code: 'IMAGE_DECODE', error: expect.stringMatching(/pixel/) },
    });
  });

  test('a small file of a huge picture is refused, without an option', async () => {
    const { url } = await start({ models: { digits: DIGITS_MODEL } });
    const black = { width: 9000, height: 9000, channels: 3, background: 'black' } as const;
    const body = await sharp({ create: black }).png().toBuffer();
    expect(await answer(fetch(`${url}/v1/classify`, { method: 'POST', body }))).toMatchObject({
      status: 400,
      body: { code: 'IMAGE_DECODE', error: expect.stringMatching(/pixel/) },
    });
  });

  test('a full queue refuses images before their bodies are read', async () => {
    const { server: full, url } = await start({
      models: { digits: { model: DIGITS_MODEL, maxQueue: 1, maxDelayMs: 400 } },
    });
    const ask = () => fetch(`${url}/v1/classify`, { method: 'POST', body: readFileSync(FIRST) });
    const waiting = ask();
    while (full.models.get('digits').batcher.stats().queued === 0) await sleep(2);
    expect(await answer(ask())).toMatchObject({ status: 429, body: { code: 'QUEUE_FULL' } });
    expect((await waiting).status).toBe(200);
  });

  test('a file that is no image is an error in its place', async () => {
    const data = form(FILES.slice(0, 1));
    data.append('files', new Blob(['no image']), 'notes.txt');
    data.append('files', jpeg(FIRST), 'again.png');
    const { status, body } = await post('/v1/classify', data);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      images: [
        { results: expect.any(Array) },
        { file: 'notes.txt', error: { code: 'IMAGE_DECODE' } },
        { file: 'again.png' },
      ],
    });
  });

  test.each([
    ['a body that is no image', '/v1/classify', 'no image', 400, /Cannot decode/],
    ['no body', '/v1/classify', '', 400, /Expected an image/],
    ['a form without files', '/v1/classify', new FormData(), 400, /.+/],
    ['a bad number of classes', '/v1/classify?top=0', 'x', 400, /top/],
    ['another model', '/v1/classify?model=dogs', 'x', 404, /no model "dogs"/],
    ['another output', '/v1/embed?output=layer9', 'x', 400, /no output "layer9"/],
    ['a body over the limit', '/v1/classify', Buffer.alloc(200_001), 413, /.+/],
  ])('%s', async (_name, path, body, status, message) => {
    expect(await post(path, body)).toMatchObject({ status, body: { error: expect.stringMatching(message) } });
  });

  test.each([
    [3, 80_000],
    [1, 200_001],
  ])('%i files of %i bytes, over the limit together', async (count, size) => {
    const data = new FormData();
    for (let i = 0; i < count; i++) data.append('files', new Blob([new Uint8Array(size)]), `${i}.png`);
    expect(await post('/v1/classify', data)).toMatchObject({ status: 413, body: { code: 'TOO_LARGE' } });
  });

  test('a form that is compressed is refused, and says so; an image may be', async () => {
    const type = 'multipart/form-data; boundary=b';
    const gzip = (contentType: string, body: Buffer) =>
      post('/v1/classify', gzipSync(body), { 'content-type': contentType, 'content-encoding': 'gzip' });
    const body = Buffer.from(
      '--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n\r\n--b--\r\n',
    );
    expect(await gzip(type, body)).toMatchObject({
      status: 415,
      body: { code: 'UNSUPPORTED', error: expect.stringContaining('compressed') },
    });
    expect(await gzip('image/png', readFileSync(FIRST))).toMatchObject({ status: 200 });
  });

  test('a form cut off in the middle', async () => {
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    const body = '--b\r\nContent-Disposition: form-data; name="f"; filename="f.png"\r\n\r\nhalf';
    expect(await post('/v1/classify', body, headers)).toMatchObject({
      status: 400,
      body: { error: expect.any(String) },
    });
  });
});

describe('embed', () => {
  test('gives the features that the extractor gives, pooled ones as vectors', async () => {
    const { status, body } = await post('/v1/embed', form(FILES.slice(0, 2)));
    expect(status).toBe(200);
    const options = { device: 'cpu', threads: 1, outputs: ['avgpool'] };
    const extractor = await createFeatureExtractor(await loadModel(DIGITS_MODEL), options);
    const { avgpool } = await extractor.extract(FILES.slice(0, 2));
    await extractor.close();
    const { images } = body as { images: { output: string; shape: number[]; embedding: number[] }[] };
    expect(images.map(({ output, shape }) => [output, shape])).toEqual([
      ['avgpool', [64]],
      ['avgpool', [64]],
    ]);
    const values = images.flatMap(({ embedding }) => embedding);
    expect(values).toHaveLength(128);
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(avgpool?.data[i] as number, 4);
  });

  test('a model without features says how to get them', async () => {
    const { url } = await start({ models: { tiny: { model: tinyNetwork, outputs: ['logits'] } } });
    const response = fetch(`${url}/v1/embed`, { method: 'POST', body: readFileSync(FIRST) });
    expect(await answer(response)).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('avgpool') },
    });
  });
});

describe('several models', () => {
  test('have to be named', async () => {
    const { url } = await start({ models: { one: DIGITS_MODEL, two: DIGITS_MODEL } });
    const classify = (query: string) =>
      answer(fetch(`${url}/v1/classify${query}`, { method: 'POST', body: readFileSync(FIRST) }));
    expect(await classify('')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('one, two') },
    });
    expect(await classify('?model=two')).toMatchObject({ status: 200, body: { model: 'two' } });
  });
});

test('GET /v1/models tells what is served', async () => {
  const { body } = await answer(fetch(`${server.url}/v1/models`));
  expect(body).toMatchObject({
    models: [{ name: 'digits', device: 'cpu', dtype: 'float32', maxBatch: 4, labels: [...'0123456789'] }],
  });
});

test('the OpenAPI document names the endpoints', async () => {
  const { body } = await answer(fetch(`${server.url}/openapi.json`));
  expect(body).toMatchObject({ openapi: '3.1.0', paths: { '/v1/classify': {}, '/v1/embed': {} } });
});
