import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { copyFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createServer } from '../../lib/server/create-server.js';
import { pixels, tinyNetwork } from '../runtime/tiny-network.js';
import { DIGITS_MODEL } from '../tasks/digits.js';
import { answer, start } from './start.js';

const one = {
  inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3], data: [...pixels(1, 2, 2)] }],
};

/** Sends raw bytes, and gives all that comes back until the connection ends. */
async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    received += part;
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return received;
}

describe('limits', () => {
  test('a body over the limit is 413', async () => {
    const { infer } = await start({ bodyLimit: 1000 });
    expect(await answer(infer(one))).toMatchObject({ status: 200 });
    expect(await answer(infer({ ...one, id: 'x'.repeat(1000) }))).toMatchObject({
      status: 413,
      body: { code: 'TOO_LARGE' },
    });
  });

  test('a full queue is 429 with Retry-After, and nothing accepted is lost', async () => {
    const { infer } = await start({
      models: { tiny: { model: tinyNetwork, maxQueue: 2, maxDelayMs: 100 } },
    });
    const responses = await Promise.all(Array.from({ length: 12 }, () => infer(one)));
    const statuses = responses.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    const refused = responses.find(({ status }) => status === 429) as Response;
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ code: 'QUEUE_FULL' });
  });

  test('a timeout that passes is 504', async () => {
    const { infer } = await start({ models: { tiny: { model: tinyNetwork, maxDelayMs: 500 } } });
    const response = infer({ ...one, parameters: { timeout: 5000 } });
    expect(await answer(response)).toMatchObject({ status: 504, body: { code: 'DEADLINE_EXCEEDED' } });
  });

  test('a timeout longer than timers can be is as good as none', async () => {
    const { infer } = await start();
    const timeout = Number.MAX_SAFE_INTEGER;
    expect(await answer(infer({ ...one, parameters: { timeout } }))).toMatchObject({ status: 200 });
  });

  test('a client that sends its request too slowly is answered 408 and cut off', async () => {
    const { url } = await start({ requestTimeoutMs: 200 });
    const received = await raw(
      url,
      'POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{',
    );
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(await answer(fetch(`${url}/v2/health/live`))).toMatchObject({ status: 200 });
  });

  test('what is no HTTP is answered 400', async () => {
    const { url } = await start();
    expect(await raw(url, 'hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('a client that goes away takes its request with it', async () => {
    const { server, infer, url } = await start({
      models: { tiny: { model: tinyNetwork, maxDelayMs: 60_000 } },
    });
    const controller = new AbortController();
    const request = fetch(`${url}/v2/models/tiny/infer`, {
      method: 'POST',
      body: JSON.stringify(one),
      signal: controller.signal,
    });
    const { batcher } = server.models.get('tiny');
    while (batcher.stats().queued === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    controller.abort();
    await expect(request).rejects.toThrow();
    while (batcher.stats().requests.cancelled === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(batcher.stats().queued).toBe(0);
    expect((await infer('{')).status).toBe(400);
  });

  test('half a body and gone', async () => {
    const { url } = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"inputs"');
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    expect(await answer(fetch(`${url}/v2/health/live`))).toMatchObject({ status: 200 });
  });
});

describe('token', () => {
  test('is asked of all but health checks', async () => {
    const { url, infer } = await start({ token: 'secret' });
    expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    for (const path of ['/v2', '/metrics', '/v2/models/tiny']) {
      const response = await fetch(url + path);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toMatchObject({ code: 'UNAUTHORIZED' });
    }
    for (const authorization of ['Bearer wrong', 'Basic secret', 'secret', 'Bearer secret2']) {
      expect((await infer(one, undefined, { authorization })).status).toBe(401);
    }
    expect((await infer(one, undefined, { authorization: 'Bearer secret' })).status).toBe(200);
  });
});

describe('draining', () => {
  test('answers what was accepted, refuses the rest with 503, and stays alive meanwhile', async () => {
    const { server, url, infer } = await start({ models: { tiny: { model: tinyNetwork, maxDelayMs: 400 } } });
    const accepted = answer(infer(one));
    while (server.models.get('tiny').batcher.stats().queued === 0)
      await new Promise((resolve) => setTimeout(resolve, 2));
    const closing = server.close();
    expect(await answer(infer(one))).toMatchObject({ status: 503, body: { code: 'DRAINING' } });
    expect(await answer(fetch(`${url}/v2/health/live`))).toMatchObject({ status: 200 });
    expect(await answer(fetch(`${url}/v2/health/ready`))).toEqual({ status: 503, body: { ready: false } });
    expect(await accepted).toMatchObject({ status: 200 });
    await closing;
    await server.close();
    await expect(fetch(url)).rejects.toThrow();
  });
});

describe('metrics and ids', () => {
  test('batches, images, errors and requests are counted', async () => {
    const { url, infer } = await start();
    await infer(one);
    await infer('{');
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('resnet_native_images_total{model="tiny"} 1');
    expect(text).toContain('resnet_native_batch_size_count{model="tiny"} 1');
    expect(text).toContain('resnet_native_queue_seconds_count{model="tiny"} 1');
    expect(text).toContain('resnet_native_compute_seconds_count{model="tiny"} 1');
    expect(text).toContain('resnet_native_errors_total{code="INVALID_ARGUMENT"} 1');
    expect(text).toMatch(
      /request_seconds_count{route="\/v2\/models\/:model\/infer",method="POST",status="200"} 1/,
    );
    expect(text).toMatch(/nodejs_eventloop_lag_p99_seconds \d/);
    expect(text).toMatch(/process_resident_memory_bytes \d/);
  });

  test('requests keep the id they came with, or get one; logs are JSON lines with it', async () => {
    const lines: string[] = [];
    const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } };
    const { url } = await start({ logger });
    const given = await fetch(`${url}/v2`, { headers: { 'x-request-id': 'abc-1' } });
    expect(given.headers.get('x-request-id')).toBe('abc-1');
    const made = (await fetch(`${url}/v2`, { headers: { 'x-request-id': 'a b\tc' } })).headers.get(
      'x-request-id',
    );
    expect(made).toMatch(/^[0-9a-f-]{36}$/);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const ids = lines.map((line) => (JSON.parse(line) as { reqId?: string }).reqId);
    expect(ids).toContain('abc-1');
    expect(ids).toContain(made);
  });
});

describe('createServer', () => {
  test.each([
    [{ models: {} }, /at least one model/],
    [{ models: { 'a/b': tinyNetwork } }, /a model name/],
    [{ models: { a: 1 as never } }, /a model, a path, what loads one/],
    [{ models: { a: tinyNetwork }, prot: 1 } as never, /no option "prot".*"port"/],
    [{ models: { a: tinyNetwork }, port: 70_000 }, /port/],
    [{ models: { '..': tinyNetwork } }, /a model name/],
    [{ models: { stats: tinyNetwork } }, /a model name/],
    [{ models: { ['x'.repeat(129)]: tinyNetwork } }, /a model name/],
    [{ models: { a: { model: tinyNetwork, version: 'a/b' } } }, /version/],
    [{ models: { a: { model: tinyNetwork, maxPixels: 0 } } }, /maxPixels/],
    [{ models: { a: { model: tinyNetwork, maxbatch: 1 } as never } }, /"maxBatch"/],
    [{ models: { a: tinyNetwork }, host: 5 as never }, /host/],
    [{ models: { a: tinyNetwork }, bodyMemory: 0 }, /bodyMemory/],
    [{ models: { a: tinyNetwork }, token: '' }, /token/],
    [{ models: { a: tinyNetwork }, drainMs: 2 ** 31 }, /drainMs/],
    [{ models: { a: tinyNetwork }, token: 'pä ss' }, /token/],
    [{ models: { a: tinyNetwork }, defaults: { outputs: ['nope'] } }, /nope/],
    [{ models: { a: tinyNetwork }, tls: { key: '/nowhere', cert: '/nowhere' } }, /nowhere/],
    [{ models: { a: '/nowhere.safetensors' } }, /nowhere/],
  ])('refuses %j', async (options, message) => {
    await expect(createServer(options)).rejects.toThrow(message);
  });

  test('the longest name that a model may have is found', async () => {
    const name = 'm'.repeat(128);
    const { url } = await start({ models: { [name]: tinyNetwork } });
    expect(await answer(fetch(`${url}/v2/models/${name}/ready`))).toMatchObject({ status: 200 });
    await expect(createServer({ models: { [`${name}m`]: tinyNetwork } })).rejects.toThrow(/at most 128/);
  });

  test('a port in use is an error that says so', async () => {
    const { url } = await start();
    const second = await createServer({ models: { tiny: tinyNetwork }, port: Number(new URL(url).port) });
    await expect(second.listen()).rejects.toMatchObject({ message: expect.stringContaining('EADDRINUSE') });
    await second.close();
  });

  test('a file that vanished fails its reload, and the model stays', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnet-native-server-'));
    const file = join(folder, 'digits.safetensors');
    await copyFile(DIGITS_MODEL, file);
    const { url } = await start({ models: { digits: file }, repository: true });
    await rm(file);
    const load = `${url}/v2/repository/models/digits/load`;
    expect(await answer(fetch(load, { method: 'POST' }))).toMatchObject({
      status: 500,
      body: { code: 'FILE' },
    });
    expect(await answer(fetch(`${url}/v2/models/digits/ready`))).toMatchObject({ status: 200 });
    rmSync(folder, { recursive: true });
  });
});
