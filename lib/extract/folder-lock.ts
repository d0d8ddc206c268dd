import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';

/** Held by this process. A lock file alone does not tell: in containers, process numbers repeat. */
const held = new Set<string>();

/**
 * Makes `folder` if need be and holds it for this process, until the returned function is called: two runs that write
 * the same parts would spoil each other's. The lock of a process of this machine that is gone is taken over.
 * @throws ResNetError `FILE` when it is held, or the folder cannot be written.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(resolve(folder), '.lock');
  if (held.has(path)) throw new ResNetError('FILE', `This process is extracting into ${folder} already`);
  held.add(path);
  try {
    await mkdir(folder, { recursive: true });
    await takeLock(path);
  } catch (error) {
    held.delete(path);
    throw fileError(folder, 'write', error);
  }
  return async () => {
    held.delete(path);
    await rm(path, { force: true });
  };
}

async function takeLock(path: string): Promise<void> {
  const file = await open(path, 'wx').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    await checkAbandoned(path);
    return open(path, 'w');
  });
  try {
    await file.writeFile(JSON.stringify({ pid: process.pid, host: hostname() }));
  } finally {
    await file.close();
  }
}

async function checkAbandoned(path: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  // Empty when its process ended between creating and writing it.
  const { pid, host } = (text === '' ? {} : JSON.parse(text)) as { pid?: number; host?: string };
  if (pid === undefined || (host === hostname() && (pid === process.pid || !isRunning(pid)))) return;
  throw new ResNetError(
    'FILE',
    `Process ${pid} on ${host} is extracting into this folder; if it is not, remove ${path}`,
  );
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
