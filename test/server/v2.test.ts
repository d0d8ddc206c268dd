import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { expected, normalized, pixels } from '../runtime/tiny-network.js';
import { answer, type Started, start } from './start.js';

let server: Started;
beforeAll(async () => {
  server = await start({ repository: true });
});

const get = (path: string) => answer(fetch(server.url + path));
const post = (path: string) => answer(fetch(server.url + path, { method: 'POST' }));

const PIXELS = pixels(2, 2, 2);
const WANT = [PIXELS.subarray(0, 12), PIXELS.subarray(12)].map((image) => expected(normalized(image)));
const image = (extra = {}) => ({
  name: 'image',
  datatype: 'UINT8',
  shape: [2, 2, 2, 3],
  data: [...PIXELS],
  ...extra,
});

interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: number[];
  readonly data: number[];
  readonly parameters?: { readonly binary_data_size: number };
}

function expectClose(actual: readonly number[], wanted: readonly number[]): void {
  expect(actual).toHaveLength(wanted.length);
  for (const [i, value] of wanted.entries()) expect(actual[i]).toBeCloseTo(value, 4);
}

/** A request with the bytes of its input behind the JSON. */
function binaryRequest(json: unknown, bytes: Uint8Array, headers: Record<string, string> = {}) {
  const head = Buffer.from(JSON.stringify(json));
  return fetch(`${server.url}/v2/models/tiny/infer`, {
    method: 'POST',
    body: Buffer.concat([head, bytes]),
    headers: { 'inference-header-content-length': String(head.length), ...headers },
  });
}

describe('metadata', () => {
  test('of the server', async () => {
    const { status, body } = await get('/v2');
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: 'resnet-native', version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
    expect((body as { extensions: string[] }).extensions).toContain('binary_tensor_data');
  });

  test('health', async () => {
    expect(await get('/v2/health/live')).toEqual({ status: 200, body: { live: true } });
    expect(await get('/v2/health/ready')).toEqual({ status: 200, body: { ready: true } });
  });

  test.each(['/v2/models/tiny', '/v2/models/tiny/versions/1'])('of the model at %s', async (path) => {
    expect(await get(path)).toEqual({
      status: 200,
      body: {
        name: 'tiny',
        versions: ['1'],
        platform: 'resnet_native',
        inputs: [
          { name: 'input', datatype: 'FP32', shape: [-1, 3, -1, -1] },
          { name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] },
        ],
        outputs: [
          { name: 'logits', datatype: 'FP32', shape: [-1, 5] },
          { name: 'avgpool', datatype: 'FP32', shape: [-1, 4, 1, 1] },
        ],
      },
    });
    expect(await get(`${path}/ready`)).toMatchObject({ status: 200, body: { ready: true } });
    expect(await get(`${path}/config`)).toMatchObject({ status: 200, body: { max_batch_size: 4 } });
  });

  test('what is not there is 404 with a JSON error, and a hint', async () => {
    for (const path of ['/v2/models/tinny', '/v2/models/tiny/versions/2', '/v2/nothing', '/v3']) {
      expect(await get(path)).toMatchObject({
        status: 404,
        body: { error: expect.any(String), code: 'NOT_FOUND' },
      });
    }
    expect((await get('/v2/models/tinny')).body).toMatchObject({ error: expect.stringContaining('"tiny"') });
  });
});

describe('infer', () => {
  test('pixels as JSON, nested or not, give all outputs', async () => {
    const nested = [PIXELS.subarray(0, 12), PIXELS.subarray(12)].map((row) => [[[...row]]]);
    for (const data of [[...PIXELS], nested]) {
      const { status, body } = await answer(server.infer({ id: 'x1', inputs: [image({ data })] }));
      expect(status).toBe(200);
      const { outputs, ...head } = body as { outputs: Output[] };
      expect(head).toEqual({ model_name: 'tiny', model_version: '1', id: 'x1' });
      expect(outputs.map(({ name, datatype, shape }) => [name, datatype, shape])).toEqual([
        ['logits', 'FP32', [2, 5]],
        ['avgpool', 'FP32', [2, 4, 1, 1]],
      ]);
      expectClose(
        outputs[0]?.data ?? [],
        WANT.flatMap(({ logits }) => logits),
      );
      expectClose(
        outputs[1]?.data ?? [],
        WANT.flatMap(({ avgpool }) => avgpool),
      );
    }
  });

  test.each(['FP32', 'FP16'])('normalised %s as bytes, NCHW, answered in bytes', async (datatype) => {
    // One pixel an image, so that NCHW and NHWC are the same; values that half precision holds exactly.
    const values = [0.5, -1, 2, 0.25, 3, -0.125];
    const halves = [0x3800, 0xbc00, 0x4000, 0x3400, 0x4200, 0xb000];
    const typed = datatype === 'FP32' ? Float32Array.from(values) : Uint16Array.from(halves);
    const bytes = new Uint8Array(typed.buffer);
    const input = {
      name: 'input',
      datatype,
      shape: [2, 3, 1, 1],
      parameters: { binary_data_size: bytes.length },
    };
    const json = { inputs: [input], outputs: [{ name: 'logits', parameters: { binary_data: true } }] };
    const response = await binaryRequest(json, bytes);
    expect(response.status).toBe(200);
    const headLength = Number(response.headers.get('inference-header-content-length'));
    const body = Buffer.from(await response.arrayBuffer());
    const { outputs } = JSON.parse(body.subarray(0, headLength).toString()) as { outputs: Output[] };
    expect(outputs).toEqual([
      { name: 'logits', datatype: 'FP32', shape: [2, 5], parameters: { binary_data_size: 40 } },
    ]);
    expect(body.length).toBe(headLength + 40);
    const logits = Array.from({ length: 10 }, (_, i) => body.readFloatLE(headLength + 4 * i));
    const wanted = [values.slice(0, 3), values.slice(3)].flatMap(
      (row) => expected(Float32Array.from(row)).logits,
    );
    expectClose(logits, wanted);
  });

  test('binary_data_output asks for bytes of all outputs; JSON and bytes can be mixed', async () => {
    const response = await server.infer({
      inputs: [image()],
      parameters: { binary_data_output: true },
      outputs: [{ name: 'avgpool' }, { name: 'logits', parameters: { binary_data: false } }],
    });
    const headLength = Number(response.headers.get('inference-header-content-length'));
    const body = Buffer.from(await response.arrayBuffer());
    const { outputs } = JSON.parse(body.subarray(0, headLength).toString()) as { outputs: Output[] };
    expect(outputs.map(({ name }) => name)).toEqual(['avgpool', 'logits']);
    expect(outputs[0]?.parameters).toEqual({ binary_data_size: 32 });
    expect(outputs[1]?.data).toHaveLength(10);
    expect(body.length - headLength).toBe(32);
  });

  test('classification gives value:index:label of the largest', async () => {
    const outputs = [{ name: 'logits', parameters: { classification: 2 } }];
    const { body } = await answer(server.infer({ inputs: [image()], outputs }));
    const [output] = (body as { outputs: Output[] }).outputs;
    expect(output).toMatchObject({ datatype: 'BYTES', shape: [2, 2] });
    const logits = WANT[0]?.logits as number[];
    const best = logits.indexOf(Math.max(...logits));
    expect(String(output?.data[0])).toMatch(new RegExp(`^-?\\d+\\.\\d{6}:${best}:${'abcde'[best]}$`));
  });

  test('classification as bytes: each text behind its length', async () => {
    const outputs = [{ name: 'logits', parameters: { classification: 1, binary_data: true } }];
    const response = await server.infer({ inputs: [image()], outputs });
    const headLength = Number(response.headers.get('inference-header-content-length'));
    const body = Buffer.from(await response.arrayBuffer()).subarray(headLength);
    const length = body.readUInt32LE(0);
    expect(body.subarray(4, 4 + length).toString()).toMatch(/^-?[\d.]+:\d:[a-e]$/);
  });

  test('gzip both ways', async () => {
    const response = await fetch(`${server.url}/v2/models/tiny/infer`, {
      method: 'POST',
      body: gzipSync(JSON.stringify({ inputs: [image()], outputs: [{ name: 'logits' }] })),
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    });
    expect(await answer(response)).toMatchObject({ status: 200, body: { outputs: [{ shape: [2, 5] }] } });
    const metrics = await fetch(`${server.url}/metrics`, { headers: { 'accept-encoding': 'gzip' } });
    expect(metrics.headers.get('content-encoding')).toBe('gzip');
    expect(await metrics.text()).toContain('resnet_native_images_total');
  });

  test('large bodies, whose memory is used again, keep their pixels apart', async () => {
    // Some larger, some smaller than what came before, and some too large to take the same memory.
    const ask = async (i: number) => {
      const side = [150, 200, 170, 300][i % 4] as number;
      const data = pixels(1, side, side).map((value) => value + 13 * i);
      const input = { ...image({ shape: [1, side, side, 3] }), data: undefined };
      const parameters = { binary_data_size: data.length };
      const response = await binaryRequest({ inputs: [{ ...input, parameters }] }, data);
      const { body } = await answer(response);
      expectClose((body as { outputs: Output[] }).outputs[0]?.data ?? [], expected(normalized(data)).logits);
    };
    for (let i = 0; i < 8; i++) await ask(i);
    await Promise.all(Array.from({ length: 16 }, (_, i) => ask(i)));
  });

  test('requests that come together run together', async () => {
    const one = { inputs: [image({ shape: [1, 2, 2, 3], data: [...PIXELS.subarray(0, 12)] })] };
    const answers = await Promise.all(Array.from({ length: 24 }, () => answer(server.infer(one))));
    for (const { body } of answers) {
      expectClose((body as { outputs: Output[] }).outputs[0]?.data ?? [], WANT[0]?.logits ?? []);
    }
    const { body } = await get('/v2/models/tiny/stats');
    const [stats] = (body as { model_stats: Record<string, number>[] }).model_stats;
    expect(stats?.execution_count).toBeLessThan(stats?.inference_count as number);
    expect(await get('/v2/models/stats')).toMatchObject({ body: { model_stats: [{ name: 'tiny' }] } });
    // As Triton's tools read it: divided by requests, the time is that of the batches that they were in.
    const counts = stats?.inference_stats as unknown as Record<string, { count: number }> | undefined;
    expect(counts?.compute_infer?.count).toBe(counts?.success?.count);
    expect(counts?.queue?.count).toBe(counts?.success?.count);
  });
});

describe('bad requests are 400 with a JSON error', () => {
  const input = { name: 'input', datatype: 'FP32', shape: [1, 3, 1, 1], data: [0, 0, 0] };
  test.each([
    ['malformed JSON', '{"inputs": [', /not JSON/],
    ['no object', '[]', /an object for the body/],
    ['no inputs', {}, /an array for inputs/],
    ['no input', { inputs: [] }, /exactly one of the inputs/],
    ['both inputs', { inputs: [input, image()] }, /exactly one of the inputs/],
    ['another name', { inputs: [{ ...input, name: 'x' }] }, /no input "x"/],
    ['another datatype', { inputs: [{ ...input, datatype: 'INT64' }] }, /FP32 or FP16/],
    ['FP16 as JSON', { inputs: [{ ...input, datatype: 'FP16' }] }, /as binary data/],
    ['another shape', { inputs: [{ ...input, shape: [1, 4, 1, 1] }] }, /shape \[n, 3, h, w\]/],
    ['a shape of no integers', { inputs: [{ ...input, shape: [1, 3, '1', 1] }] }, /shape \[n, 3, h, w\]/],
    ['too few values', { inputs: [{ ...input, data: [1, 2] }] }, /takes 3 values but received 2/],
    ['too many values', { inputs: [{ ...input, data: [1, 2, 3, 4] }] }, /takes 3 values but received 4/],
    [
      'more values claimed than any memory holds',
      { inputs: [{ ...input, shape: [1, 3, 2 ** 30, 2 ** 20] }] },
      /received 3/,
    ],
    [
      'lists without end',
      `{"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 3, 1, 1], "data": [1, 2, ${'['.repeat(200_000)}${']'.repeat(200_000)}]}]}`,
      /a number/,
    ],
    ['values that are no numbers', { inputs: [{ ...input, data: [1, null, 3] }] }, /a number/],
    ['pixels out of range', { inputs: [image({ shape: [1, 1, 1, 3], data: [0, 256, 0] })] }, /a number/],
    ['a batch over the largest', { inputs: [{ ...input, shape: [5, 3, 1, 1] }] }, /at most 4 but received 5/],
    [
      'an image over the largest',
      { inputs: [image({ shape: [1, 700, 300, 3], data: new Array(630_000).fill(0) })] },
      /at most 200704 pixels/,
    ],
    ['an unknown output', { inputs: [input], outputs: [{ name: 'x' }] }, /gives logits, avgpool/],
    [
      'a bad classification',
      { inputs: [input], outputs: [{ name: 'logits', parameters: { classification: -1 } }] },
      /classification/,
    ],
    ['shared memory', { inputs: [{ ...input, parameters: { shared_memory_region: 'r' } }] }, /Shared memory/],
    [
      'binary data that is not there',
      { inputs: [{ ...input, data: undefined, parameters: { binary_data_size: 12 } }] },
      /binary_data_size/,
    ],
    ['a timeout that is none', { inputs: [input], parameters: { timeout: 'soon' } }, /timeout/],
  ])('%s', async (_name, body, message) => {
    expect(await answer(server.infer(body))).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(message), code: expect.stringMatching(/^INVALID_/) },
    });
  });

  test.each(['-1', '1e3', '99999', 'x'])('a header length of %s', async (length) => {
    const headers = { 'inference-header-content-length': length };
    expect(await answer(server.infer({ inputs: [input] }, undefined, headers))).toMatchObject({
      status: 400,
    });
  });

  test('bytes left over', async () => {
    const json = { inputs: [{ ...input, data: undefined, parameters: { binary_data_size: 12 } }] };
    expect(await answer(binaryRequest(json, new Uint8Array(13)))).toMatchObject({ status: 400 });
    expect(await answer(binaryRequest(json, new Uint8Array(12)))).toMatchObject({ status: 200 });
  });

  test('no body', async () => {
    expect(await post('/v2/models/tiny/infer')).toMatchObject({
      status: 400,
      body: { error: expect.any(String) },
    });
  });

  test('shared memory is refused by name', async () => {
    expect(await get('/v2/systemsharedmemory/status')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('not supported') },
    });
  });
});

describe('repository', () => {
  test('lists, reloads without a failed request, unloads and loads', async () => {
    expect(await post('/v2/repository/index')).toEqual({
      status: 200,
      body: [{ name: 'tiny', version: '1', state: 'READY', reason: '' }],
    });
    const one = { inputs: [image()] };
    const requests = Array.from({ length: 40 }, (_, i) =>
      new Promise((resolve) => setTimeout(resolve, i)).then(() => answer(server.infer(one))),
    );
    expect(await post('/v2/repository/models/tiny/load')).toMatchObject({ status: 200 });
    for (const { status } of await Promise.all(requests)) expect(status).toBe(200);

    expect(await post('/v2/repository/models/tiny/unload')).toMatchObject({ status: 200 });
    expect(await answer(server.infer(one))).toMatchObject({
      status: 404,
      body: { error: expect.stringContaining('not loaded') },
    });
    expect(await post('/v2/repository/index')).toMatchObject({ body: [{ state: 'UNAVAILABLE' }] });
    const index = (body: string) =>
      answer(fetch(`${server.url}/v2/repository/index`, { method: 'POST', body }));
    expect(await index('{"ready": true}')).toEqual({ status: 200, body: [] });
    expect(await index('{"ready": false}')).toMatchObject({ body: [{ state: 'UNAVAILABLE' }] });
    expect(await index('{"ready": 1}')).toMatchObject({ status: 400 });
    expect(await post('/v2/repository/models/tiny/load')).toMatchObject({ status: 200 });
    expect(await answer(server.infer(one))).toMatchObject({ status: 200 });
    expect(await post('/v2/repository/models/other/load')).toMatchObject({ status: 404 });
  });

  test.each(['config', 'file:1/model.safetensors'])(
    'loading with the parameter %s is refused',
    async (name) => {
      const body = JSON.stringify({ parameters: { [name]: 'e30=' } });
      const response = fetch(`${server.url}/v2/repository/models/tiny/load`, { method: 'POST', body });
      expect(await answer(response)).toMatchObject({
        status: 400,
        body: { code: 'UNSUPPORTED', error: expect.stringContaining(name) },
      });
    },
  );

  test('is closed to clients unless enabled', async () => {
    const { url } = await start();
    for (const change of ['load', 'unload']) {
      const path = `/v2/repository/models/tiny/${change}`;
      expect(await answer(fetch(url + path, { method: 'POST' }))).toMatchObject({ status: 403 });
    }
  });
});
