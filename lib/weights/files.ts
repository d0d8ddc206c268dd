import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError } from '../file-error.js';

/**
 * Writes a file that appears whole or not at all, even if the machine goes down: under a temporary name in the same
 * folder, flushed to the disk, then renamed over what was there.
 * @throws ResNetError `FILE`.
 */
export async function writeFileAtomically(path: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await withFile(temporary, 'wx', async (file) => {
      for (const piece of pieces) await file.writeFile(piece);
      await file.sync();
    });
    await rename(temporary, path);
    // The new name is in the folder, which has to reach the disk too. Windows cannot open folders and needs not.
    if (process.platform !== 'win32') await withFile(dirname(path), 'r', (folder) => folder.sync());
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw fileError(path, 'write', error);
  }
}

async function withFile(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
