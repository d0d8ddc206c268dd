import { createReadStream } from 'node:fs';
import { relative } from 'node:path';
import type { SourceAdapter } from './adapter.js';
import { isImageName, isTarName } from './entry.js';
import { normalizePath, walk } from './walk.js';

/**
 * The images and `.tar` shards under a folder, named by their paths within it, so that keys are the same wherever the
 * folder lies. Also the pattern for adapters of other stores.
 */
export class DirectoryAdapter implements SourceAdapter {
  constructor(readonly folder: string) {}

  async *list(signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
    for await (const path of walk(this.folder, signal)) {
      if (isImageName(path) || isTarName(path)) yield normalizePath(relative(this.folder, path));
    }
  }

  async open(name: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return createReadStream(`${this.folder}/${name}`, { signal });
  }
}
