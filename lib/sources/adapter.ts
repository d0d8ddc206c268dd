import type { Entry } from './entry.js';
import { collect, isTarName } from './entry.js';
import { tarEntries } from './tar.js';

/**
 * Where images come from that are not on a disk: object stores, web servers, databases. The package has two,
 * `DirectoryAdapter` and `HttpAdapter`; an S3 one is these two functions over a client of yours.
 */
export interface SourceAdapter {
  /** The names of all images and `.tar` shards, each once, in an order that is the same every time. */
  list(signal?: AbortSignal): AsyncIterable<string>;
  /** The bytes of one of them, in pieces. What it throws becomes a row with an error. */
  open(name: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

/** The entries of an adapter; `.tar` names are opened as WebDataset shards. */
export async function* adapterEntries(
  adapter: SourceAdapter,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void, undefined> {
  for await (const name of adapter.list(signal)) {
    if (isTarName(name)) yield* tarEntries(name, () => adapter.open(name, signal), signal);
    else yield { key: name, read: async (stop) => collect(name, await adapter.open(name, stop)) };
  }
}
