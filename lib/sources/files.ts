import { constants, createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';
import { type Entry, isTarName, MAX_IMAGE_BYTES, tooLarge } from './entry.js';
import { tarEntries } from './tar.js';

/** The entries of a path: an image file, or the members of a `.tar`. Whether it can be read shows when it is. */
export async function* pathEntries(
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void, undefined> {
  if (isTarName(path)) yield* tarEntries(path, async () => createReadStream(path, { signal }), signal);
  else yield { key: path, read: () => readImageFile(path) };
}

async function readImageFile(path: string): Promise<Uint8Array> {
  try {
    // Not blocking: opening a named pipe must not hold a thread until somebody writes to it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile()) throw new ResNetError('FILE', `${path} is not a regular file`);
      if (status.size > MAX_IMAGE_BYTES) throw tooLarge(path);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(path, 'read', error);
  }
}
