import { Readable } from 'node:stream';
import type { Header } from 'tar-stream';
import { ResNetError, throwIfAborted } from '../errors.js';
import { fileError } from '../file-error.js';
import type { Entry } from './entry.js';
import { collect, isImageName, MAX_IMAGE_BYTES, tooLarge } from './entry.js';

/**
 * The pictures in a WebDataset shard, read in one pass and never unpacked to disk; a member's bytes are in memory from
 * when it is reached until it is decoded. Keys are `<name of the tar>/<name of the member>`. Names are only ever keys,
 * so that one with `..` leads nowhere; links and devices are passed over.
 *
 * A tar that is cut off or damaged ends in an entry with the tar's own name, whose `read` rejects with the reason; the
 * members before the damage are given.
 */
export async function* tarEntries(
  name: string,
  open: () => Promise<AsyncIterable<Uint8Array>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void, undefined> {
  const { extract } = await import('tar-stream');
  const members = extract();
  try {
    const bytes = Readable.from(await open());
    bytes.on('error', (error) => members.destroy(error));
    bytes.pipe(members);
    for await (const member of members) {
      throwIfAborted(signal);
      const entry = await memberEntry(name, member.header, member as unknown as AsyncIterable<Uint8Array>);
      if (entry) yield entry;
      // A member that nobody reads blocks the ones behind it.
      else member.resume();
    }
  } catch (error) {
    throwIfAborted(signal);
    yield failing(name, tarError(name, error));
  } finally {
    members.destroy();
  }
}

async function memberEntry(
  tar: string,
  { name, type, size = 0 }: Header,
  bytes: AsyncIterable<Uint8Array>,
): Promise<Entry | undefined> {
  if ((type !== 'file' && type !== 'contiguous-file') || !isImageName(name)) return undefined;
  const key = `${tar}/${name}`;
  if (size > MAX_IMAGE_BYTES) throw tooLarge(key);
  const data = await collect(key, bytes);
  return { key, read: async () => data };
}

function failing(key: string, error: ResNetError): Entry {
  return { key, read: () => Promise.reject(error) };
}

function tarError(name: string, error: unknown): ResNetError {
  if (error instanceof ResNetError) return error;
  if ((error as NodeJS.ErrnoException).syscall !== undefined) return fileError(name, 'read', error);
  const reason = (error as Error).message;
  return new ResNetError(
    'FILE',
    `The rest of ${name} cannot be read: ${reason}; the tar is cut off or damaged`,
    {
      cause: error,
    },
  );
}
