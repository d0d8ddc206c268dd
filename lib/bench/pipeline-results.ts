import type { Provenance } from './results.js';

// The file that bench/pipeline.mjs writes: image files to classes, ours against sharp and onnxruntime-node.

export const PIPELINE_FORMAT = 'resnet-native-pipeline';

/** One pass over all files. */
export interface PipelineRound {
  readonly seconds: number;
  /** How late the event loop was while the pass was under way: at the 99th percentile of its turns, and at worst. */
  readonly eventLoopP99Ms: number;
  readonly eventLoopWorstMs: number;
}

export interface PipelineMeasurement {
  readonly engine: string;
  readonly version: string;
  /** From the weights file to the classes of a first image. */
  readonly loadAndFirstMs: number;
  readonly peakRssBytes: number;
  readonly rounds: readonly PipelineRound[];
  /** The median of the rounds. */
  readonly imagesPerSecond: number;
  /** The median of the rounds. */
  readonly eventLoopP99Ms: number;
  /** Of all rounds. */
  readonly eventLoopWorstMs: number;
}

export interface PipelineCell {
  readonly arch: string;
  /** Of one pass. */
  readonly images: number;
  readonly batch: number;
  /** Ours first. */
  readonly engines: readonly PipelineMeasurement[];
  /** Where a peer was measured: the median over the rounds of how much faster ours was. */
  readonly ratio?: number;
  /** The share of images that both give the same likeliest class; their preprocessing differs. */
  readonly sameTop1?: number;
}

export interface PipelineResults extends Provenance {
  readonly format: typeof PIPELINE_FORMAT;
  readonly version: 1;
  readonly threads: number;
  readonly cells: readonly PipelineCell[];
}
