import type { ErrorCode } from '../errors.js';

// What a benchmark and the processes that hold its engines say to each other: one JSON object a line, on the engine's
// standard input and output, one answer to each request. bench/peers/peer.py speaks it too.

/** What an engine is to run. Files, because an engine's own loading is measured. */
export interface LoadRequest {
  readonly op: 'load';
  readonly arch: string;
  /** The same network and parameters, as a file of this package and as ONNX ('' where no peer asked for it). */
  readonly safetensors: string;
  readonly onnx: string;
  /** Raw little-endian float32, [n, c, h, w]. */
  readonly input: string;
  readonly shape: readonly [n: number, c: number, h: number, w: number];
  readonly device: string;
  readonly dtype: string;
  readonly threads: number;
  /** Ours only. */
  readonly autotune?: string | undefined;
  /** Ours only. */
  readonly memory?: string | undefined;
}

export interface LoadAnswer {
  readonly version: string;
  readonly loadMs: number;
  readonly firstRunMs: number;
  readonly logits: readonly number[];
}

/** Runs the loaded network again and again for about that long, and at least once. */
export interface RunRequest {
  readonly op: 'run';
  readonly seconds: number;
}

export interface RunAnswer {
  /** Of every run. */
  readonly ms: readonly number[];
}

export interface MemoryRequest {
  readonly op: 'memory';
}

export interface MemoryAnswer {
  readonly peakRssBytes: number;
}

/** Ours only. */
export interface ProfileRequest {
  readonly op: 'profile';
  readonly runs: number;
}

export interface ProfileAnswer {
  /** The steps of the plan with the median of their times. */
  readonly steps: readonly { name: string; op: string; kernel: string; ms: number }[];
}

export interface Answers {
  load: LoadAnswer;
  run: RunAnswer;
  memory: MemoryAnswer;
  profile: ProfileAnswer;
}

export type Request = LoadRequest | RunRequest | MemoryRequest | ProfileRequest;

/** The answer of an engine that could not do what it was asked. */
export interface ErrorAnswer {
  readonly error: string;
  /** Of a ResNetError. */
  readonly code?: ErrorCode;
}
