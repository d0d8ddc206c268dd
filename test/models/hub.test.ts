import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cachedWeightsPath, fetchWeights } from '../../lib/weights/hub.js';

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251));
const prefix = createHash('sha256').update(content).digest('hex').slice(0, 8);
const fileName = `resnet18-${prefix}.pth`;

let home: string;
let server: Server;
let requests: number;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'resnet-native-'));
  vi.stubEnv('RESNET_NATIVE_HOME', join(home, 'new'));
  requests = 0;
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server?.closeAllConnections();
  server?.close();
  await rm(home, { recursive: true });
});

/** Serves and returns the address of a file of that name. */
async function serve(listener: RequestListener, name = fileName): Promise<{ url: string }> {
  server = createServer((request, response) => {
    requests++;
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/${name}?from=test` };
}

const whole: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-length': content.length }).end(content);
};

const filesLeft = async () => readdir(join(home, 'new', 'hub')).catch(() => []);

test('the cache is a folder of its own, by default in the home folder', () => {
  const weights = { url: 'https://example.org/a/b/resnet50-11ad3fa6.pth' };
  expect(cachedWeightsPath(weights)).toBe(join(home, 'new', 'hub', 'resnet50-11ad3fa6.pth'));
  vi.stubEnv('RESNET_NATIVE_HOME', '');
  const folder = join(homedir(), '.cache', 'resnet-native', 'hub');
  expect(cachedWeightsPath(weights)).toBe(join(folder, 'resnet50-11ad3fa6.pth'));
});

test('a file is downloaded once, and progress told', async () => {
  const weights = await serve(whole);
  const seen: [number, number | undefined][] = [];
  const path = await fetchWeights(weights, { progress: (received, total) => seen.push([received, total]) });
  expect(path).toBe(join(home, 'new', 'hub', fileName));
  expect(content.equals(await readFile(path))).toBe(true);
  expect(seen.at(-1)).toEqual([content.length, content.length]);
  expect(seen.map(([received]) => received)).toEqual(
    seen.map(([received]) => received).sort((a, b) => a - b),
  );
  expect(await fetchWeights(weights)).toBe(path);
  expect(requests).toBe(1);
  expect(await filesLeft()).toEqual([fileName]);
});

test('a file that is there is used as it is', async () => {
  const weights = { url: 'https://nowhere.invalid/resnet18-00000000.pth' };
  const path = cachedWeightsPath(weights);
  await fetchWeights(await serve(whole));
  await writeFile(path, 'by hand');
  expect(await fetchWeights(weights)).toBe(path);
});

test('downloads at the same time do not disturb each other', async () => {
  const weights = await serve(whole);
  const paths = await Promise.all([fetchWeights(weights), fetchWeights(weights)]);
  expect(paths[0]).toBe(paths[1]);
  expect(content.equals(await readFile(paths[0]))).toBe(true);
  expect(await filesLeft()).toEqual([fileName]);
});

test('a server that does not tell the size', async () => {
  const weights = await serve((_, response) => void response.writeHead(200).end(content));
  const totals: (number | undefined)[] = [];
  await fetchWeights(weights, { progress: (_, total) => totals.push(total) });
  expect(new Set(totals)).toEqual(new Set([undefined]));
});

describe('what goes wrong leaves no file and says what to do', () => {
  const failures: [string, RequestListener, string, RegExp][] = [
    [
      'another content',
      (_, r) => void r.end('other'),
      fileName,
      /SHA-256 begins with [0-9a-f]{8} and should with/,
    ],
    ['nothing', (_, r) => void r.end(), fileName, /SHA-256/],
    [
      'an absent file',
      (_, r) => void r.writeHead(404).end('no'),
      fileName,
      /the server answered 404 Not Found/,
    ],
    ['a server error', (_, r) => void r.writeHead(503).end(), fileName, /answered 503/],
    [
      'a broken connection',
      (_, r) => {
        r.writeHead(200, { 'content-length': content.length });
        r.write(content.subarray(0, 1000), () => r.destroy());
      },
      fileName,
      /the connection broke/,
    ],
    ['no answer', (request) => void request.socket.destroy(), fileName, /the server cannot be reached/],
  ];

  test.each(failures)('%s', async (_, listener, name, message) => {
    const weights = await serve(listener, name);
    const error = await fetchWeights(weights).catch((caught) => caught);
    expect(error).toMatchObject({ name: 'ResNetError', code: 'DOWNLOAD' });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(
      `Get ${weights.url} by other means and put it at ${cachedWeightsPath(weights)}`,
    );
    expect(await filesLeft()).toEqual([]);
  });

  test('no server at all', async () => {
    const error = await fetchWeights({ url: `http://127.0.0.1:1/${fileName}` }).catch((caught) => caught);
    expect(error).toMatchObject({ code: 'DOWNLOAD' });
    expect(error.message).toMatch(/cannot be reached \(.+\)/);
  });

  test('an error of the caller comes through', async () => {
    const weights = await serve(whole);
    const progress = () => {
      throw new RangeError('mine');
    };
    await expect(fetchWeights(weights, { progress })).rejects.toThrow(RangeError);
    expect(await filesLeft()).toEqual([]);
  });

  test('a folder that cannot be made', async () => {
    await writeFile(join(home, 'new'), 'a file where the folder should be');
    await expect(fetchWeights(await serve(whole))).rejects.toMatchObject({ code: 'FILE' });
  });
});
