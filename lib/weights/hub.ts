import { createHash, type Hash, randomBytes } from 'node:crypto';
import { access, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';

/** Told how many bytes have come, and how many there are if the server says. */
export type DownloadProgress = (received: number, total: number | undefined) => void;

/** A file that can be fetched. Its name ends in a SHA-256 prefix, as in `resnet50-11ad3fa6.pth`. */
export interface RemoteWeights {
  readonly url: string;
}

/** Where a file is or will be kept: `hub` in the folder `RESNET_NATIVE_HOME`, by default `~/.cache/resnet-native`. */
export function cachedWeightsPath({ url }: RemoteWeights): string {
  const home = process.env.RESNET_NATIVE_HOME || join(homedir(), '.cache', 'resnet-native');
  return join(home, 'hub', basename(new URL(url).pathname));
}

/**
 * The path of a weights file on this machine, downloaded unless it is in the cache. The file appears there whole or
 * not at all, and only if it has the hash that its name tells.
 * @throws ResNetError `DOWNLOAD`, saying how to get the file by hand; `FILE` when it cannot be written.
 */
export async function fetchWeights(
  weights: RemoteWeights,
  options: { progress?: DownloadProgress | undefined } = {},
): Promise<string> {
  const path = cachedWeightsPath(weights);
  if (await exists(path)) return path;
  const download: Download = { url: weights.url, path, progress: options.progress };
  const response = await request(download);
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.part`;
  try {
    const file = await openNew(temporary);
    try {
      checkHash(await receive(response, file, download), download);
    } finally {
      await file.close();
    }
    await rename(temporary, path).catch((error) => Promise.reject(fileError(path, 'write', error)));
  } catch (error) {
    // What went wrong before matters, not that it cannot be tidied up.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  return path;
}

interface Download {
  readonly url: string;
  readonly path: string;
  readonly progress: DownloadProgress | undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function request(download: Download): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(download.url);
  } catch (cause) {
    // fetch says "fetch failed" and keeps what happened in the cause.
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    throw downloadError(download, `the server cannot be reached (${(reason as Error).message})`, cause);
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw downloadError(download, `the server answered ${response.status} ${response.statusText}`.trimEnd());
  }
  return response;
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    await mkdir(dirname(path), { recursive: true });
    return await open(path, 'wx');
  } catch (error) {
    throw fileError(path, 'write', error);
  }
}

async function receive(response: Response, file: FileHandle, download: Download): Promise<Hash> {
  const total = Number(response.headers.get('content-length')) || undefined;
  const hash = createHash('sha256');
  let received = 0;
  for await (const chunk of chunks(response, download)) {
    await file.writeFile(chunk).catch((error) => Promise.reject(fileError(download.path, 'write', error)));
    hash.update(chunk);
    received += chunk.length;
    download.progress?.(received, total);
  }
  await file.sync();
  return hash;
}

async function* chunks(response: Response, download: Download): AsyncGenerator<Uint8Array> {
  try {
    if (response.body) yield* response.body as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw downloadError(download, `the connection broke (${(cause as Error).message})`, cause);
  }
}

function checkHash(hash: Hash, download: Download): void {
  const expected = /-([0-9a-f]{8,64})\.[^.]+$/.exec(basename(download.path))?.[1];
  const actual = hash.digest('hex');
  if (expected && !actual.startsWith(expected)) {
    const reason = `its SHA-256 begins with ${actual.slice(0, expected.length)} and should with ${expected}`;
    throw downloadError(download, reason);
  }
}

function downloadError({ url, path }: Download, reason: string, cause?: unknown): ResNetError {
  return new ResNetError(
    'DOWNLOAD',
    `Cannot download ${basename(path)}: ${reason}. Get ${url} by other means and put it at ${path}`,
    { cause },
  );
}
