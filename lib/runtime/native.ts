import { constants } from 'node:buffer';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { ErrorCode } from '../errors.js';
import { AbortError, ResNetError } from '../errors.js';
import type { GraphNode } from '../graph/graph.js';
import type { ParameterValues } from '../graph/parameters.js';
import { cudaLibraries } from './cuda-library.js';

// The one file that knows where the binary is. What it exports is the addon's own surface, typed once here;
// native/addon/ documents each call on its side.

export interface NativeCompileOptions {
  /** Where it is compiled; several share the session's queue. */
  readonly devices: readonly string[];
  readonly dtype: string;
  readonly maxBatch: number;
  /** 0: what the machine grants. */
  readonly threads: number;
  readonly memory: string;
  readonly autotune: string;
  /** The names of nodes and the algorithms that they are to have. */
  readonly plan: readonly (readonly [node: string, algorithm: string])[];
  /** On each device; 0: the backend's own default. */
  readonly contexts: number;
  /** Of the images that are prepared for; 0: 224. */
  readonly height: number;
  readonly width: number;
  /** Bytes of device memory on each GPU; 0: what there is. */
  readonly memoryBudget: number;
  /** Where the device keeps what it measured; empty: nowhere. */
  readonly cacheFolder: string;
  /** Of the threads that compute. */
  readonly niceness: number;
  /** Kept with the session, for those who attach to it. */
  readonly description: string;
}

/** One environment's hold on a compiled network, which every environment that attached to it shares. */
export interface NativeSession {
  readonly handle: bigint;
  readonly description: string;
  readonly plan: readonly NativeStep[];
  /**
   * One typed array an output, in the graph's order, each with its shape.
   * @param id the caller's, by which the run may be cancelled; of no other run under way.
   */
  run(id: number, input: NativeInput): Promise<NativeOutput[]>;
  /** The same run, but what it gives is the milliseconds of each step of the plan. */
  profile(id: number, input: NativeInput): Promise<number[]>;
  /** Harmless before and after the run. */
  cancel(id: number): void;
  /** Takes no more runs, waits for those under way, and lets the network go. Once only. */
  close(): Promise<void>;
}

export interface NativeStep {
  readonly name: string;
  readonly op: string;
  readonly kernel: string;
  readonly macs: number;
  /** Where there was a choice: `direct`, `winograd 2x2`, … and how it was made. */
  readonly algorithm?: string;
  readonly reason?: string;
}

export interface NativeInput {
  /** Of one type; each holds one or several images, and together they hold `n`. */
  readonly parts: readonly (Uint8Array | Float32Array)[];
  readonly layout: 'NHWC' | 'NCHW';
  readonly n: number;
  readonly h: number;
  readonly w: number;
}

export interface NativeOutput {
  readonly data: Float32Array;
  readonly shape: number[];
}

export interface NativeDevice {
  readonly id: string;
  readonly name: string;
  readonly available: boolean;
  readonly isa: string;
  readonly dtypes: string[];
  readonly reason: string;
  /** After an error that only a new process mends. */
  readonly lost: boolean;
}

/** What the CPU can do at best. */
export interface NativePeak {
  /** GFLOP/s by dtype; a multiply-add counts as two operations. */
  readonly gflops: Readonly<Record<string, number>>;
  /** GB/s of reading memory that no cache holds. */
  readonly bandwidth: number;
}

/** Runs the float32 network over images and looks at its values. */
export interface NativeCalibration {
  /** Counts a batch of any size; one at a time. */
  collect(input: NativeInput): Promise<void>;
  /** Of each node that stays when the network is fused, by name; `percentile` is for the method of that name. */
  scales(method: string, percentile: number): Promise<Record<string, number>>;
}

export interface NativeAddon {
  /**
   * Tells the addon of this environment what makes its errors and the largest buffer that the engine takes, and where
   * the CUDA backend's library may be.
   */
  connect(
    makeError: (code: string, message: string) => Error,
    maxBufferBytes: number,
    cudaLibraries: readonly string[],
  ): void;
  compile(
    nodes: readonly GraphNode[],
    outputs: readonly string[],
    parameters: Readonly<Record<string, ParameterValues>>,
    options: NativeCompileOptions,
  ): Promise<NativeSession>;
  calibrate(
    nodes: readonly GraphNode[],
    outputs: readonly string[],
    parameters: Readonly<Record<string, ParameterValues>>,
    options: { readonly device: string; readonly threads: number },
  ): Promise<NativeCalibration>;
  attach(handle: bigint): NativeSession;
  /** Of one kind, `cpu`, `cuda` or `reference`; of all if it is empty. */
  devices(kind: string): Promise<NativeDevice[]>;
  /** Keeps `threads` CPUs busy for a second, and holds 256 MB meanwhile. */
  measurePeak(threads: number): Promise<NativePeak>;
  /** Zeroed memory that sessions read in place. */
  allocate(bytes: number): ArrayBuffer;
  /** Detaches a buffer that nobody needs any more, which frees its memory as soon as no run reads it. */
  discard(buffer: ArrayBufferLike): void;
  /**
   * Pillow's bilinear antialiased resize to `resizedHeight` × `resizedWidth`, then a crop; zero outside the image.
   * `pixels` (RGB, HWC) is kept alive but not copied: the caller leaves it unchanged and attached until the promise
   * settles.
   */
  resizeCrop(
    pixels: Uint8Array,
    height: number,
    width: number,
    geometry: NativeCropGeometry,
  ): Promise<Uint8Array>;
  /**
   * The same of the pixels of a JPEG file of that size, decoded as Pillow does: null for a file that is damaged or of a
   * rare kind. `file` is treated as `pixels`. Absent where the machine has no TurboJPEG.
   */
  resizeCropJpeg?(
    file: Uint8Array,
    height: number,
    width: number,
    geometry: NativeCropGeometry,
  ): Promise<Uint8Array | null>;
  /**
   * The same of many files at once, on a device: null for those that its decoder leaves to another. The files' memory is
   * not copied. With no files it tells, by rejecting, whether the device decodes at all.
   */
  decodeJpegs(device: string, files: readonly NativeJpeg[]): Promise<(Uint8Array | null)[]>;
}

export interface NativeJpeg {
  readonly file: Uint8Array;
  /** Of the picture, as the file's header says. */
  readonly height: number;
  readonly width: number;
  readonly geometry: NativeCropGeometry;
}

export interface NativeCropGeometry {
  readonly resizedHeight: number;
  readonly resizedWidth: number;
  readonly top: number;
  readonly left: number;
  readonly cropHeight: number;
  readonly cropWidth: number;
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded on first use.
 * @throws ResNetError `UNSUPPORTED` where there is no binary for this platform.
 */
export function native(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  const require = createRequire(import.meta.url);
  const root = fileURLToPath(new URL('../../', import.meta.url));
  let addon: NativeAddon;
  let path: string;
  try {
    path = require('node-gyp-build').resolve(root) as string;
    addon = require(path) as NativeAddon;
  } catch (cause) {
    throw new ResNetError(
      'UNSUPPORTED',
      `The native addon could not be loaded for ${process.platform}-${process.arch}. ` +
        'In a checkout of the repository, build it with: npm run build:native',
      { cause },
    );
  }
  addon.connect(
    (code, message) =>
      code === 'ABORT_ERR' ? new AbortError(undefined) : new ResNetError(code as ErrorCode, message),
    constants.MAX_LENGTH,
    cudaLibraries(path),
  );
  return addon;
}
