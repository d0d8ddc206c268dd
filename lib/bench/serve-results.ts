import type { Provenance } from './results.js';

// The file that bench/serve.mjs writes: the server under load, over loopback, from a process on the same cores.

export const SERVE_FORMAT = 'resnet-native-serve';

/** When a part was measured, and how. */
type Part = Pick<Provenance, 'date' | 'command'>;

/** What one load came to. Times in milliseconds, of requests that were answered 200. */
export interface LoadResult {
  readonly seconds: number;
  /** Requests answered 200, a second. */
  readonly perSecond: number;
  /** How many requests were answered with each status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that broke while they waited for an answer. */
  readonly resets: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** What both sides took of the processor. */
  readonly generatorCores: number;
  readonly serverCores: number;
  /** What else the processor was taken by: other processes, and other machines where this one is virtual. */
  readonly otherCores: number;
  /** Of the server, at the end. */
  readonly rssBytes: number;
  readonly eventLoopP99Ms: number;
  readonly eventLoopWorstMs: number;
}

/** Clients that each send a request as soon as their last one is answered. All figures are medians over the rounds. */
export interface ClosedCell {
  readonly engine: string;
  readonly version: string;
  readonly concurrency: number;
  readonly rounds: readonly LoadResult[];
  readonly imagesPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Of the processor, taken by the generator. */
  readonly generatorCores: number;
  /** Of what our bare session did in the same round with its best batch, on what the generator left of the cores. */
  readonly shareOfBare: number;
  readonly eventLoopP99Ms: number;
}

export interface ClosedPart extends Part {
  /** Of each cell and round. */
  readonly seconds: number;
  /** Our session without a server, in the same rounds. */
  readonly bare: readonly {
    readonly batch: number;
    readonly rounds: readonly number[];
    readonly imagesPerSecond: number;
  }[];
  readonly cells: readonly ClosedCell[];
}

/** Poisson arrivals; times count from when a request was meant to be sent. */
export interface OpenPart extends Part {
  readonly cells: readonly OpenCell[];
}

/** A 99th percentile, of each window by its median and of the requests of all. */
export interface WindowsP99 {
  readonly median: number;
  readonly pooled: number;
}

export interface OpenCell {
  /** Of the capacity. */
  readonly share: number;
  readonly windows: readonly OpenWindow[];
  /** In times of what one image takes in the same window. */
  readonly p99Times: WindowsP99;
  /** The same arrivals, given to the batcher without a server. */
  readonly inProcessP99Times: WindowsP99;
}

export interface OpenWindow extends LoadResult {
  /** Requests a second that the server answered to 64 clients, just before. */
  readonly capacity: number;
  readonly rate: number;
  /** Of a batch of one in the bare session, before, between and after: the median. */
  readonly computeMs: number;
  /** How late the generator sent its requests. */
  readonly sentLateP99Ms: number;
  readonly inProcessP99: number;
}

/** Poisson arrivals of three times the capacity. */
export interface OverloadPart extends Part, LoadResult {
  readonly capacity: number;
  /** Of `GET /v2/health/live`, ten times a second meanwhile. */
  readonly healthProbes: number;
  readonly healthP99Ms: number;
  readonly healthWorstMs: number;
}

export interface MemoryPart extends Part {
  readonly requests: number;
  readonly seconds: number;
  /** After each tenth of the requests. */
  readonly rssBytes: readonly number[];
  /** From the first three to the last three of these, by their medians. */
  readonly growth: number;
}

export interface ServeResults extends Pick<Provenance, 'machine' | 'versions'> {
  readonly format: typeof SERVE_FORMAT;
  readonly version: 1;
  readonly arch: string;
  readonly threads: number;
  readonly parts: {
    readonly closed?: ClosedPart;
    readonly open?: OpenPart;
    readonly overload?: OverloadPart;
    readonly memory?: MemoryPart;
  };
}
