import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResNetError } from '../errors.js';
import { OPEN_SINK } from './sinks/formats.js';
import { PendingFile } from './sinks/pending-file.js';
import type { Block, Column, FeatureFormat, Sink } from './sinks/sink.js';

/** A finished part, as the manifest tells of it. */
export interface Part {
  /** `part-00000`. */
  readonly name: string;
  /** Images in its index: rows and errors. */
  readonly images: number;
  readonly errors: number;
  /** Bytes by file name. */
  readonly files: Readonly<Record<string, number>>;
}

/** One image of a part: its row follows in the blocks unless there is an error. */
export interface PartImage {
  readonly key: string;
  readonly error?: ResNetError;
  /** More for its line of the index. */
  readonly extra?: object;
}

export function partName(number: number): string {
  return `part-${String(number).padStart(5, '0')}`;
}

export function indexFileName(part: string): string {
  return `${part}.index.jsonl`;
}

/**
 * Writes a part: features through the sink of a format, and the index, a JSON line an image. The index gets its name
 * last, so that a part whose index is there is whole, whenever the machine went down.
 */
export class PartWriter {
  #images = 0;
  #rows = 0;

  private constructor(
    private readonly folder: string,
    readonly name: string,
    private readonly sink: Sink,
    private readonly index: PendingFile,
  ) {}

  static async open(
    folder: string,
    name: string,
    format: FeatureFormat,
    columns: readonly Column[],
  ): Promise<PartWriter> {
    const sink = await OPEN_SINK[format](join(folder, name), columns);
    return new PartWriter(folder, name, sink, await PendingFile.create(join(folder, indexFileName(name))));
  }

  /** Images so far. */
  get images(): number {
    return this.#images;
  }

  /** @param blocks the rows of the images without an error, a block a column. */
  async write(images: readonly PartImage[], blocks: readonly Block[]): Promise<void> {
    const keys = images.flatMap(({ key, error }) => (error ? [] : [key]));
    const lines = images.map((image) => `${JSON.stringify(this.#line(image))}\n`);
    this.#images += images.length;
    await this.index.append(Buffer.from(lines.join('')));
    if (keys.length > 0) await this.sink.write(keys, blocks);
  }

  #line({ key, error, extra }: PartImage): object {
    if (error) return { key, error: { code: error.code, message: error.message } };
    return { key, row: this.#rows++, ...extra };
  }

  /** Everything is on the disk under its name when this returns. */
  async finish(): Promise<Part> {
    await this.sink.finish();
    await this.index.close();
    const files = [...this.sink.files, this.index];
    for (const file of this.sink.files) await file.publish();
    await syncFolder(this.folder);
    await this.index.publish();
    await syncFolder(this.folder);
    return {
      name: this.name,
      images: this.#images,
      errors: this.#images - this.#rows,
      files: Object.fromEntries(files.map(({ name, size }) => [name, size])),
    };
  }

  async discard(): Promise<void> {
    await this.sink.discard();
    await this.index.discard();
  }
}

/** New names are in the folder, which has to reach the disk too. Windows cannot open folders and needs not. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
