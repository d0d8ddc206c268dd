import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { GraphNode } from '../graph/graph.js';

// The one file that knows where the binary is. What it exports is the addon's own surface, typed once here;
// native/addon/ documents each call on its side.

/** A parameter as the addon takes it: float32 values in torch's order. */
export interface NativeParameter {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface NativeCompileOptions {
  readonly device: string;
  readonly dtype: string;
  readonly maxBatch: number;
  /** 0: what the machine grants. */
  readonly threads: number;
  readonly memory: string;
  /** 0: the backend's own default. */
  readonly contexts: number;
}

/** A compiled network, shared by every environment that attached to it. */
export interface NativeSession {
  readonly handle: bigint;
  readonly device: string;
  readonly plan: readonly NativeStep[];
  /** One typed array an output, in the graph's order, each with its shape. */
  run(input: NativeInput, token: NativeCancelToken | undefined): Promise<NativeOutput[]>;
  profile(input: NativeInput): Promise<number[]>;
  close(): Promise<void>;
}

export interface NativeStep {
  readonly name: string;
  readonly op: string;
  readonly kernel: string;
  readonly macs: number;
}

export interface NativeInput {
  readonly data: Uint8Array | Float32Array;
  readonly layout: 'NHWC' | 'NCHW';
  readonly n: number;
  readonly h: number;
  readonly w: number;
  readonly c: number;
}

export interface NativeOutput {
  readonly data: Float32Array;
  readonly shape: number[];
}

/** Cancels the run it was given to; harmless before and after. */
export interface NativeCancelToken {
  cancel(): void;
}

export interface NativeDevice {
  readonly id: string;
  readonly name: string;
  readonly available: boolean;
  readonly isa: string;
  readonly dtypes: string[];
  readonly reason: string;
}

export interface NativeAddon {
  compile(
    nodes: readonly GraphNode[],
    outputs: readonly string[],
    parameters: Readonly<Record<string, NativeParameter>>,
    options: NativeCompileOptions,
  ): Promise<NativeSession>;
  attach(handle: bigint): NativeSession;
  devices(): Promise<NativeDevice[]>;
  cancelToken(): NativeCancelToken;
  /** Zeroed memory that sessions read in place. */
  allocate(bytes: number): ArrayBuffer;
  /**
   * Pillow's bilinear antialiased resize to `resizedHeight` × `resizedWidth`, then a crop; zero outside the image.
   * `pixels` (RGB, HWC) is kept alive but not copied: the caller leaves it unchanged and attached until the promise
   * settles.
   */
  resizeCrop(
    pixels: Uint8Array,
    height: number,
    width: number,
    geometry: {
      resizedHeight: number;
      resizedWidth: number;
      top: number;
      left: number;
      cropHeight: number;
      cropWidth: number;
    },
  ): Promise<Uint8Array>;
}

let loaded: NativeAddon | undefined;

/** The addon, loaded on first use. */
export function native(): NativeAddon {
  if (!loaded) {
    const require = createRequire(import.meta.url);
    const root = fileURLToPath(new URL('../../', import.meta.url));
    loaded = require('node-gyp-build')(root) as NativeAddon;
  }
  return loaded;
}
