import { ResNetError } from '../errors.js';
import type { EncodedBatch, Extraction } from './extraction.js';
import { type Manifest, writeManifest } from './manifest.js';
import { type PartImage, PartWriter, partName } from './part-writer.js';
import type { Block, Column } from './sinks/sink.js';

/** Cuts encoded batches into parts of `shardSize` images and puts each finished one into the manifest. */
export class PartsWriter {
  #manifest: Manifest;
  #part: PartWriter | undefined;

  constructor(
    private readonly folder: string,
    private readonly extraction: Extraction,
    manifest: Manifest,
    private readonly shardSize: number,
  ) {
    this.#manifest = manifest;
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  async write({ images, blocks }: EncodedBatch): Promise<void> {
    let [image, row] = [0, 0];
    while (image < images.length) {
      this.#part ??= await this.#open();
      const taken = images.slice(image, image + this.shardSize - this.#part.images);
      const rows = countRows(taken);
      await this.#part.write(taken, rowsOf(blocks, this.extraction.columns, row, row + rows));
      image += taken.length;
      row += rows;
      if (this.#part.images === this.shardSize) await this.finishPart();
    }
  }

  #open(): Promise<PartWriter> {
    const { columns, fingerprint } = this.extraction;
    const last = this.#manifest.parts.at(-1)?.name;
    const number = last === undefined ? 0 : Number(last.slice('part-'.length)) + 1;
    return PartWriter.open(this.folder, partName(number), fingerprint.format, columns);
  }

  /** Finishes the part under way, if there is one. */
  async finishPart(): Promise<void> {
    if (!this.#part) return;
    const part = await this.#part.finish();
    this.#part = undefined;
    this.#manifest = { ...this.#manifest, parts: [...this.#manifest.parts, part] };
    await writeManifest(this.folder, this.#manifest);
  }

  async discard(): Promise<void> {
    await this.#part?.discard();
  }
}

function countRows(images: readonly PartImage[]): number {
  return images.filter(({ error }) => !error).length;
}

/** Rows from `start` to `end` of each block: views. No blocks came of no rows. */
function rowsOf(
  blocks: readonly Block[],
  columns: readonly Column[],
  start: number,
  end: number,
): readonly Block[] {
  return blocks.map((block, i) => {
    const length = (columns[i] as Column).shape.reduce((product, size) => product * size, 1);
    return block.subarray(start * length, end * length);
  });
}

/** A full disk in words that say what to do; other errors as they are. */
export function explainFullDisk(error: unknown): unknown {
  if (!(error instanceof ResNetError)) return error;
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  const advice = 'the parts in manifest.json are whole; make room and go on with resume';
  return new ResNetError(error.code, `${error.message}: ${advice}`, { cause: error.cause });
}
