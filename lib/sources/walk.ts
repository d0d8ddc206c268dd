import { type Dirent, promises as fs } from 'node:fs';
import { join } from 'node:path';
import { throwIfAborted } from '../errors.js';
import { fileError } from '../file-error.js';

/**
 * The files under a folder, depth first, by name in the order of UTF-16 code units: the same on every machine and in
 * every locale. Links to files count as files; links to folders are not followed, because they may lead round in
 * circles. Paths begin with `folder` and have `/` between the parts.
 * @param depth how many levels down, at most.
 * @throws ResNetError `FILE` for a folder that cannot be read.
 */
export async function* walk(
  folder: string,
  signal: AbortSignal | undefined,
  depth = Number.POSITIVE_INFINITY,
): AsyncGenerator<string, void, undefined> {
  throwIfAborted(signal);
  const items = await fs.readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw fileError(folder, 'read', error);
  });
  items.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const item of items) {
    const path = posixJoin(folder, item.name);
    if (item.isDirectory()) {
      if (depth > 1) yield* walk(path, signal, depth - 1);
    } else if (await isFile(item, path)) {
      yield path;
    }
  }
}

async function isFile(item: Dirent, path: string): Promise<boolean> {
  if (item.isFile()) return true;
  if (!item.isSymbolicLink()) return false;
  // A link to nothing counts, so that it shows as a row with an error.
  return fs.stat(path).then(
    (status) => status.isFile(),
    () => true,
  );
}

/** `.` in front is left out: `./a` and `a` have to be one key. */
function posixJoin(folder: string, name: string): string {
  return normalizePath(join(folder, name));
}

/** The path without `.` parts and doubled slashes, with `/` on every system. */
export function normalizePath(path: string): string {
  const normal = join(path);
  return process.platform === 'win32' ? normal.replaceAll('\\', '/') : normal;
}
