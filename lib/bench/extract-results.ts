import type { Provenance } from './results.js';

// The file that bench/extract/run.mjs writes: image files to rows of `avgpool` in .npy, ours against what one would
// write in Python and in Node.

export const EXTRACT_FORMAT = 'resnet-native-extract';

export interface ExtractMeasurement {
  readonly engine: string;
  /** What it computed in: a peer's float32 is beside our other dtypes too. */
  readonly dtype: string;
  readonly version: string;
  readonly loadMs: number;
  readonly peakRssBytes: number;
  /** Seconds of each pass over all files. */
  readonly rounds: readonly number[];
  /** The median of the rounds. */
  readonly imagesPerSecond: number;
  /** Of its features from ours: the norm of the difference divided by that of ours. */
  readonly difference: number;
  /** Peers: the median over the rounds of how much faster ours was. */
  readonly ratio?: number;
}

export interface ExtractCell {
  readonly arch: string;
  readonly dtype: string;
  readonly batch: number;
  /** Ours first. */
  readonly engines: readonly ExtractMeasurement[];
  /** Images/s of our stages, each with the machine to itself. */
  readonly alone: { readonly decode: number; readonly compute: number };
  readonly skipped: readonly { readonly engine: string; readonly reason: string }[];
}

export interface ExtractResults extends Provenance {
  readonly format: typeof EXTRACT_FORMAT;
  readonly version: 1;
  readonly threads: number;
  /** Of one pass: how many files, and of how many bytes. */
  readonly images: number;
  readonly bytes: number;
  readonly cells: readonly ExtractCell[];
}

// The file that bench/extract/workers.mjs writes: the same work, shared by workers of one thread each.

export const WORKERS_FORMAT = 'resnet-native-extract-workers';

export interface WorkersResults extends Provenance {
  readonly format: typeof WORKERS_FORMAT;
  readonly version: 1;
  readonly arch: string;
  readonly images: number;
  readonly shardSize: number;
  /** From the first part begun to the last one done. */
  readonly cells: readonly { readonly workers: number; readonly imagesPerSecond: number }[];
}
