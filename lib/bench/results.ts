import { readFile } from 'node:fs/promises';
import { ResNetError } from '../errors.js';
import { show } from '../is.js';

// The file that a benchmark writes: bench/README.md describes it for readers of other languages.

export const FORMAT = 'resnet-native-bench';
export const VERSION = 1;

export interface Machine {
  /** As its maker calls it. */
  readonly cpu: string;
  readonly cores: number;
  /** The instruction set that the CPU's kernels use. */
  readonly isa: string;
  /** Bytes of one cache by its name (`L1d`, `L2`, `L3`), where the system tells. */
  readonly caches: Readonly<Record<string, number>>;
  readonly memoryBytes: number;
  readonly os: string;
}

/** What the machine can do at best, measured in the same run. */
export interface Peak {
  readonly threads: number;
  /** GFLOP/s by dtype: multiply-adds in registers, counted as two operations each. */
  readonly gflops: Readonly<Record<string, number>>;
  /** GB/s of reading memory that no cache holds. */
  readonly bandwidth: number;
}

export interface Settings {
  readonly threads: number;
  /** Seconds of measuring for each engine and cell, over all rounds. */
  readonly seconds: number;
  readonly rounds: number;
  /** Of our sessions, if not `off`. */
  readonly autotune?: string;
}

/** What is measured: one network at one batch. */
export interface CellKey {
  readonly arch: string;
  readonly dtype: string;
  readonly device: string;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
}

/** What the times come to. */
export interface Summary {
  /** The median of the rounds. */
  readonly imagesPerSecond: number;
  /** (fastest - slowest round) / median. */
  readonly spread: number;
  /** Of single runs of the whole batch, in milliseconds, over all rounds. */
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Multiply-adds of direct convolution, counted as two, over time: an algorithm that saves some can pass the peak. */
  readonly gflops: number;
  /** Of the peak of the cell's dtype; null where that was not measured. */
  readonly shareOfPeak: number | null;
}

export interface Measurement {
  readonly engine: string;
  readonly version: string;
  /** From the file on disk to a session, and that session's first run, in milliseconds. */
  readonly loadMs: number;
  readonly firstRunMs: number;
  /** The most memory that the engine's process ever held, in bytes. */
  readonly peakRssBytes: number;
  /** Of the logits from ours: worst |difference| / worst |logit|; 0 for ours. */
  readonly difference: number;
  /** Of dtypes narrower than float32: how far its logits are from our float32's, as `centredError` says. */
  readonly error?: number;
  /** Milliseconds of every run, by round. */
  readonly rounds: readonly (readonly number[])[];
  readonly summary: Summary;
  /** Peers only: the median over the rounds of our images/s divided by theirs. */
  readonly ratio?: number;
}

/** A peer that could not be measured, and why. */
export interface Skipped {
  readonly engine: string;
  readonly reason: string;
}

/** One step of our plan. */
export interface LayerTime {
  readonly name: string;
  readonly op: string;
  readonly kernel: string;
  /** The median of several runs. */
  readonly ms: number;
  /** Multiply-adds of the batch, as direct convolution has them. */
  readonly macs: number;
  /** The least that a run of this step alone has to read and write: inputs, parameters and output, once each. */
  readonly bytes: number;
}

export interface Cell extends CellKey {
  /** Multiply-adds for one image. */
  readonly macs: number;
  /** Ours first. */
  readonly engines: readonly Measurement[];
  readonly skipped: readonly Skipped[];
  /** Where the benchmark was run with --profile. */
  readonly layers?: readonly LayerTime[];
}

/** How a file of results came to be. */
export interface Provenance {
  /** When it began, ISO 8601. */
  readonly date: string;
  readonly command: string;
  /** Of this package and of Node; those of the peers stand with their measurements. */
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: Machine;
}

export interface Results extends Provenance {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly peak: Peak;
  readonly settings: Settings;
  readonly cells: readonly Cell[];
}

/**
 * @throws ResNetError `FILE` for a file that cannot be read, `INVALID_ARGUMENT` for one that is no benchmark's.
 */
export async function readResults(path: string): Promise<Results> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ResNetError('FILE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const results = parseJson(text) as Partial<Results> | null | undefined;
  if (results?.format !== FORMAT || !Array.isArray(results.cells)) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      `${path} is no result of a benchmark: expected what bench --out wrote`,
    );
  }
  if (results.version !== VERSION) {
    const versions = `expected version ${VERSION} but the file has ${show(results.version)}`;
    throw new ResNetError('INVALID_ARGUMENT', `${path} was written by another release: ${versions}`);
  }
  return results as Results;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Two measurements with this in common can be compared. */
export function keyOf({ arch, dtype, device, batch, height, width }: CellKey): string {
  return `${arch} ${dtype} ${device} ${batch}×${height}×${width}`;
}
