import type { PendingFile } from './pending-file.js';

export const FORMATS = ['npy', 'parquet', 'safetensors'] as const;
export type FeatureFormat = (typeof FORMATS)[number];

export const STORED_DTYPES = ['float32', 'float16'] as const;
export type StoredDType = (typeof STORED_DTYPES)[number];

/** One output, as it is stored: a row an image. */
export interface Column {
  readonly name: string;
  /** Of a row, [2048] or [256, 14, 14]. */
  readonly shape: readonly number[];
  readonly dtype: StoredDType;
}

/** Rows of a column, one behind the other; float16 as raw 16 bits. */
export type Block = Float32Array | Uint16Array;

/** Writes the rows of a part in one format. Calls do not overlap. */
export interface Sink {
  /** What it writes to, none of which has its name yet. */
  readonly files: readonly PendingFile[];
  /** @param blocks a block a column, in their order. */
  write(keys: readonly string[], blocks: readonly Block[]): Promise<void>;
  /** Completes the files and closes them. */
  finish(): Promise<void>;
  /** Takes everything away, whatever state it is in. */
  discard(): Promise<void>;
}

/** Makes the sink of a part: `path` is what its files' names begin with, `DIR/part-00000`. */
export type OpenSink = (path: string, columns: readonly Column[]) => Promise<Sink>;

export function bytesOf(block: Block): Uint8Array {
  return new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
}

export function rowLength({ shape }: Column): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The name of a node as a part of a file's name. */
export function fileNamePart(node: string): string {
  return encodeURIComponent(node);
}
