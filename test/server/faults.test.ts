import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import { Session } from '../../lib/runtime/session.js';
import { pixels, tinyNetwork } from '../runtime/tiny-network.js';
import { DIGITS_MODEL } from '../tasks/digits.js';
import { answer, start } from './start.js';

// What clients, disks, clocks and devices do wrong: every answer is a status with a JSON error, and the server goes on.

const one = {
  inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3], data: [...pixels(1, 2, 2)] }],
};
const BODY = JSON.stringify(one);
const PATH = '/v2/models/tiny/infer';

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const head = (length: number | string, more = '') =>
  `POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n${more}\r\n`;

/** A connection that collects what it receives. */
function open(url: string): { socket: Socket; received: () => string; closed: Promise<unknown> } {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    received += part;
  });
  socket.on('error', () => undefined);
  return { socket, received: () => received, closed: once(socket, 'close') };
}

const isAlive = async (url: string) => (await fetch(`${url}/v2/health/live`)).status === 200;

describe('lengths that lie', () => {
  test('a body shorter than its Content-Length waits, and is 408 when the client has had its time', async () => {
    const { url } = await start({ requestTimeoutMs: 200 });
    const { socket, received, closed } = open(url);
    socket.write(head(BODY.length + 10) + BODY);
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('a body longer than its Content-Length: the rest is taken for a request, and is none', async () => {
    const { url } = await start();
    const { socket, received, closed } = open(url);
    socket.write(`${head(BODY.length) + BODY}garbage\r\n\r\n`);
    await closed;
    const statuses = [...received().matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
    expect(statuses).toContain('400');
    expect(await isAlive(url)).toBe(true);
  });

  test.each(['-1', '1e9', 'abc', '99999999999999999999'])('Content-Length: %s', async (length) => {
    const { url } = await start({ requestTimeoutMs: 500 });
    const { socket, received, closed } = open(url);
    socket.write(head(length) + BODY);
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 4(00|13|08) /);
    expect(await isAlive(url)).toBe(true);
  });

  test('a Content-Length over the limit is refused before the body comes', async () => {
    const { url } = await start({ bodyLimit: 1000 });
    const { socket, received, closed } = open(url);
    socket.write(head(5000));
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"TOO_LARGE"/);
  });

  test('a chunked body over the limit is 413', async () => {
    const { url } = await start({ bodyLimit: 1000 });
    const { socket, received, closed } = open(url);
    socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 4; i++) socket.write(`190\r\n${' '.repeat(400)}\r\n`);
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 413 [\s\S]*"code":"TOO_LARGE"/);
  });

  test('a header length that is behind the body, on a connection that goes on', async () => {
    const { infer } = await start();
    const lied = await infer(BODY, undefined, { 'inference-header-content-length': '100000' });
    expect(await answer(lied)).toMatchObject({ status: 400, body: { code: 'INVALID_ARGUMENT' } });
    expect((await infer(BODY)).status).toBe(200);
  });
});

describe('what never comes to a route is answered as everything else is', () => {
  test.each([
    ['what is no HTTP', 'hello\r\n\r\n', 400, 'INVALID_ARGUMENT'],
    ['a URL that cannot be decoded', 'GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'INVALID_ARGUMENT'],
    ['no host', 'GET /v2 HTTP/1.1\r\n\r\n', 400, 'INVALID_ARGUMENT'],
    ['two lengths', head(3, 'Transfer-Encoding: chunked\r\n'), 400, 'INVALID_ARGUMENT'],
    ['headers of 20 kB', `GET /v2 HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'TOO_LARGE'],
    ['a name of 3 kB', `GET /v2/models/${'x'.repeat(3000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414, 'TOO_LARGE'],
    ['an expectation', 'GET /v2 HTTP/1.1\r\nHost: x\r\nExpect: luck\r\n\r\n', 417, 'UNSUPPORTED'],
    ['half a header', 'GET /v2 HTTP/1.1\r\nHost', 408, 'TIMEOUT'],
  ])('%s', async (_name, text, status, code) => {
    const { url } = await start({ requestTimeoutMs: 300 });
    const { socket, received } = open(url);
    socket.write(text);
    while (!/\}/.test(received())) await sleep(2);
    socket.destroy();
    expect(received()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(received()).toMatch(/content-type: application\/json/i);
    const json = JSON.parse(/\{.*\}/s.exec(received())?.[0] as string);
    expect(json).toEqual({ error: expect.any(String), code });
  });
});

describe('slow and absent clients', () => {
  test('slow-loris: headers that come a byte at a time are cut off, while others are answered', async () => {
    const { url, infer } = await start({ requestTimeoutMs: 300 });
    const connections = Array.from({ length: 50 }, () => open(url));
    const dripping = setInterval(() => {
      for (const { socket } of connections) if (!socket.destroyed) socket.write('a');
    }, 20);
    for (const { socket } of connections) socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nX-Slow: `);
    for (let i = 0; i < 20; i++) expect((await infer(BODY)).status).toBe(200);
    await Promise.all(connections.map(({ closed }) => closed));
    clearInterval(dripping);
    for (const { received } of connections) expect(received()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('a client that never reads its answer holds nobody up', async () => {
    const { url, infer } = await start();
    const { socket } = open(url);
    socket.pause();
    for (let i = 0; i < 200; i++) socket.write(head(BODY.length) + BODY);
    expect((await infer(BODY)).status).toBe(200);
    socket.destroy();
  });

  test('a hundred clients that leave in the middle of a body leave nothing behind', async () => {
    const { server, url, infer } = await start();
    const connections = Array.from({ length: 100 }, () => open(url));
    for (const { socket } of connections) socket.write(head(BODY.length) + BODY.slice(0, 20));
    await sleep(50);
    for (const { socket } of connections) socket.destroy();
    await Promise.all(connections.map(({ closed }) => closed));
    expect((await infer(BODY)).status).toBe(200);
    await sleep(50);
    expect(server.models.get('tiny').batcher.stats()).toMatchObject({ queued: 0, running: 0 });
    // Closing waits for requests under way: were these counted for ever, it would take drainMs.
    const started = performance.now();
    await server.close();
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('a client that never ends its request holds a server that closes up for drainMs, and no longer', async () => {
    for (const sent of [
      head(BODY.length) + BODY.slice(0, 20),
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nX-Slow: `,
    ]) {
      const { server, url, infer } = await start({ drainMs: 300 });
      const { socket, closed } = open(url);
      socket.write(sent);
      expect((await infer(BODY)).status).toBe(200); // so the server has read what was sent before
      await server.close();
      await closed;
    }
  }, 20_000);

  test('nor does a client that never reads its answers', async () => {
    const { server, url } = await start({ drainMs: 300 });
    const { socket } = open(url);
    socket.pause();
    // More answers than the system buffers for a connection.
    const page = 'GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(page.repeat(2000));
    await sleep(200);
    await server.close();
    socket.destroy();
  }, 20_000);
});

const FORM = 'Content-Type: multipart/form-data; boundary=b\r\n';
const BODIES = [
  ['tensors', PATH, '', '{"inputs"'],
  ['an image', '/v1/classify', 'Content-Type: image/png\r\n', 'PNG'],
  [
    'a form',
    '/v1/classify',
    FORM,
    '--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nPNG',
  ],
] as const;

const headOf = (path: string, length: number, more: string) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n${more}\r\n`;

describe.each(BODIES)('half of a body with %s', (_name, path, headers, body) => {
  test('whose client left is 499 in the log and in the metrics, and no failure of the server', async () => {
    const lines: string[] = [];
    const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } };
    const { server, url } = await start({ logger });
    const { socket } = open(url);
    socket.write(headOf(path, 5000, headers) + body);
    await sleep(50);
    socket.destroy();
    const logged = () => lines.map((line) => JSON.parse(line));
    while (!logged().some(({ res }) => res?.statusCode === 499)) await sleep(2);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/request_seconds_count\{.*status="499"\} 1/);
    expect(logged().filter(({ level }) => level > 30)).toEqual([]);
    await server.close();
  });

  test('does not keep the server from ending when its time is over', async () => {
    const { server, url } = await start({ drainMs: 100 });
    const { socket, closed } = open(url);
    socket.write(headOf(path, 5000, headers) + body);
    await sleep(50);
    const started = performance.now();
    await server.close();
    // Not the 60 s that a client may take to send its request.
    expect(performance.now() - started).toBeLessThan(5000);
    await closed;
  });

  test('and many like it: what they take together is bounded, and given back', async () => {
    const { url } = await start({ bodyLimit: 60_000, bodyMemory: 100_000 });
    const filled = headOf(path, 59_000, headers) + body + ' '.repeat(40_000);
    const clients = [0, 1, 2].map(() => open(url));
    for (const { socket } of clients) socket.write(filled);
    const refusals = () => clients.filter(({ received }) => received().startsWith('HTTP/1.1 429 '));
    while (refusals().length === 0) await sleep(2);
    await sleep(50);
    const refused = refusals();
    expect(refused).toHaveLength(1);
    expect(refused[0]?.received()).toMatch(/retry-after: 1[\s\S]*"code":"QUEUE_FULL"/);
    // The rest of what was refused passes by, and the connection goes on.
    refused[0]?.socket.write(`${' '.repeat(19_000 - body.length)}GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n`);
    while (!refused[0]?.received().includes('HTTP/1.1 200')) await sleep(2);
    for (const { socket } of clients) socket.destroy();
    // Of memory that was not given back there would not be enough for this.
    const again = async () => {
      const one = headOf(path, 59_000, headers) + body + ' '.repeat(59_000 - body.length);
      const { socket, received } = open(url);
      socket.write(one);
      while (!received().includes('HTTP/1.1')) await sleep(2);
      socket.destroy();
      return received().slice(0, 12);
    };
    await sleep(50);
    for (let i = 0; i < 4; i++) expect(await again()).toBe('HTTP/1.1 400');
  });
});

test('headers that do not come to their end do not keep the server from ending', async () => {
  const { server, url } = await start();
  const { socket, closed } = open(url);
  socket.write('GET /v2 HTT');
  await sleep(50);
  await server.close();
  await closed;
});

const IDLE = 10_000;
// Beside the connections, the test and the server have files of their own.
const canHoldIdle = openFilesLimit() >= IDLE + 1000;
const whyNot = canHoldIdle ? '' : ` (skipped: the process may not have ${IDLE + 1000} files open)`;

function openFilesLimit(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

describe.skipIf(!canHoldIdle)(`${IDLE} idle connections${whyNot}`, () => {
  test('do not keep the others from being answered', async () => {
    const { url, infer } = await start();
    const script = fileURLToPath(new URL('children/idle-clients.mjs', import.meta.url));
    const clients = spawn(process.execPath, [script, new URL(url).port, String(IDLE)]);
    const lines = createInterface({ input: clients.stdout })[Symbol.asyncIterator]();
    try {
      expect((await lines.next()).value).toBe('open');
      for (let i = 0; i < 20; i++) expect((await infer(BODY)).status).toBe(200);
      expect(await isAlive(url)).toBe(true);
      clients.stdin.write('?');
      expect((await lines.next()).value).toBe('lost 0');
    } finally {
      clients.kill();
    }
  }, 60_000);
});

describe('a device that fails', () => {
  /** Makes the next `times` runs of any session fail. */
  function failRuns(error: Error, times: number): void {
    const { run } = Session.prototype;
    let left = times;
    vi.spyOn(Session.prototype, 'run').mockImplementation(function (this: Session, ...args) {
      return left-- > 0 ? Promise.reject(error) : run.apply(this, args);
    });
  }

  test.each([
    ['OUT_OF_MEMORY', 503],
    ['DEVICE_LOST', 503],
    ['INTERNAL', 500],
  ] as const)('%s in a batch is %i for its requests, and only for them', async (code, status) => {
    const { infer } = await start();
    failRuns(new ResNetError(code, 'injected'), 1);
    const together = await Promise.all([infer(BODY), infer(BODY)].map(answer));
    expect(together).toContainEqual({ status, body: { error: 'injected', code } });
    expect((await infer(BODY)).status).toBe(200);
  });

  test('of an error that nobody expected the client learns nothing, and the log all', async () => {
    const lines: string[] = [];
    const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } };
    const { infer } = await start({ logger });
    failRuns(new TypeError('secret path /etc/x'), 1);
    const { status, body } = await answer(infer(BODY, undefined, { 'x-request-id': 'r-7' }));
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain('secret');
    const logged = lines.map((line) => JSON.parse(line)).find(({ level }) => level === 50);
    expect(logged).toMatchObject({ reqId: 'r-7', err: { message: 'secret path /etc/x' } });
  });
});

describe('a clock that jumps', () => {
  test('changes neither deadlines nor waiting', async () => {
    const { server, infer } = await start({ models: { tiny: { model: tinyNetwork, maxDelayMs: 50 } } });
    const now = Date.now();
    for (const jump of [0, 86_400_000, -86_400_000]) {
      vi.spyOn(Date, 'now').mockReturnValue(now + jump);
      const { status } = await answer(infer({ ...one, parameters: { timeout: 5_000_000 } }));
      expect(status).toBe(200);
    }
    const { queueTime, computeTime } = server.models.get('tiny').batcher.stats();
    expect(queueTime.maxMs).toBeLessThan(5000);
    expect(queueTime.totalMs).toBeGreaterThan(0);
    expect(computeTime.maxMs).toBeLessThan(5000);
  });
});

describe('hot reload', () => {
  test('under load no request fails, whether the new file is good, damaged or gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'resnet-native-reload-'));
    const file = join(folder, 'digits.safetensors');
    await copyFile(DIGITS_MODEL, file);
    const { url } = await start({ models: { digits: file }, repository: true });
    const digit = { name: 'image', datatype: 'UINT8', shape: [1, 8, 8, 3], data: new Array(192).fill(9) };
    const path = `${url}/v2/models/digits/infer`;
    const load = () => answer(fetch(`${url}/v2/repository/models/digits/load`, { method: 'POST' }));
    let loading = true;
    const statuses: number[] = [];
    const client = async () => {
      while (loading) {
        const response = await fetch(path, { method: 'POST', body: JSON.stringify({ inputs: [digit] }) });
        statuses.push(response.status);
        await response.arrayBuffer();
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let i = 0; i < 3; i++) expect(await load()).toMatchObject({ status: 200 });
    // A file that is damaged, and one that is gone: the model that is there stays.
    await writeFile(file, 'no weights');
    expect(await load()).toMatchObject({ status: 500, body: { code: 'WEIGHTS_FORMAT' } });
    await rm(file);
    expect(await load()).toMatchObject({ status: 500, body: { code: 'FILE' } });
    loading = false;
    await Promise.all(clients);
    expect(statuses.length).toBeGreaterThan(20);
    expect(new Set(statuses)).toEqual(new Set([200]));
    await rm(folder, { recursive: true });
  }, 30_000);
});

describe('requests that wait', () => {
  test('hold on to their tensors, and not to the numbers that these were read from', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const { server, infer } = await start({ models: { tiny: { model: tinyNetwork, maxDelayMs: 2000 } } });
    const { parse } = JSON;
    let numbers: WeakRef<object> | undefined;
    JSON.parse = (...args) => {
      const value = parse(...args);
      if (value?.inputs) numbers = new WeakRef(value.inputs[0].data);
      return value;
    };
    const answered = infer(BODY).finally(() => {
      JSON.parse = parse;
    });
    while (server.models.get('tiny').batcher.stats().queued === 0) await sleep(2);
    await sleep(20);
    collectGarbage();
    expect(server.models.get('tiny').batcher.stats().queued).toBe(1);
    expect(numbers).toBeInstanceOf(WeakRef);
    expect(numbers?.deref()).toBeUndefined();
    expect((await answered).status).toBe(200);
  });
});

describe('a full queue', () => {
  test('is refused before the body is read, and the connection goes on', async () => {
    const { server, url } = await start({
      models: { tiny: { model: tinyNetwork, maxQueue: 1, maxDelayMs: 400 } },
    });
    const waiting = fetch(url + PATH, { method: 'POST', body: BODY });
    while (server.models.get('tiny').batcher.stats().queued === 0) await sleep(2);
    // Its body comes only after the answer.
    const { socket, received } = open(url);
    socket.write(head(BODY.length));
    while (!received().includes('QUEUE_FULL')) await sleep(2);
    expect(received()).toMatch(/^HTTP\/1\.1 429 /);
    expect((await waiting).status).toBe(200);
    socket.write(BODY + head(BODY.length) + BODY);
    while (!received().includes('HTTP/1.1 200')) await sleep(2);
    socket.destroy();
  });

  test('a large body that was refused passes by, and the connection goes on', async () => {
    const { server, url } = await start({
      models: { tiny: { model: tinyNetwork, maxQueue: 1, maxDelayMs: 400 } },
    });
    const waiting = fetch(url + PATH, { method: 'POST', body: BODY });
    while (server.models.get('tiny').batcher.stats().queued === 0) await sleep(2);
    const { socket, received } = open(url);
    socket.write(head(3e6) + ' '.repeat(3e6) + head(BODY.length) + BODY);
    while ((received().match(/HTTP\/1\.1/g) ?? []).length < 2) await sleep(2);
    expect(received()).toMatch(/^HTTP\/1\.1 429 /);
    expect((await waiting).status).toBe(200);
    socket.destroy();
  });

  test('requests on one connection that come together are all answered, in order', async () => {
    const { url } = await start();
    const { socket, received } = open(url);
    socket.write((head(BODY.length) + BODY).repeat(20));
    while ((received().match(/HTTP\/1\.1 200/g) ?? []).length < 20) await sleep(2);
    socket.destroy();
  });
});

test('methods and paths that are not there are JSON errors too', async () => {
  const { url } = await start();
  for (const [method, path] of [
    ['GET', PATH],
    ['DELETE', '/v2'],
    ['GET', '/v2/models/%zz'],
    ['GET', `/${'x'.repeat(4000)}`],
  ] as const) {
    const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
      const sent = request(url + path, { method }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode as number, body: text }));
      });
      sent.on('error', reject).end();
    });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(JSON.parse(body)).toMatchObject({ error: expect.any(String), code: expect.any(String) });
  }
});
