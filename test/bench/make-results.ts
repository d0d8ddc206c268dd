import {
  EXTRACT_FORMAT,
  type ExtractResults,
  WORKERS_FORMAT,
  type WorkersResults,
} from '../../lib/bench/extract-results.js';
import { PIPELINE_FORMAT, type PipelineResults } from '../../lib/bench/pipeline-results.js';
import { type Cell, FORMAT, type Measurement, type Results, VERSION } from '../../lib/bench/results.js';

// Results that no machine gave, with round numbers.

export function makeMeasurement(engine: string, imagesPerSecond: number, ratio?: number): Measurement {
  const ms = 8000 / imagesPerSecond;
  return {
    engine,
    version: '1.2.3',
    loadMs: 100,
    firstRunMs: 50,
    peakRssBytes: 250e6,
    difference: ratio === undefined ? 0 : 1e-6,
    rounds: [[ms], [ms]],
    summary: {
      imagesPerSecond,
      spread: 0.015,
      p50: ms,
      p95: ms,
      p99: ms,
      gflops: 8 * imagesPerSecond,
      shareOfPeak: (8 * imagesPerSecond) / 500,
    },
    ...(ratio !== undefined && { ratio }),
  };
}

export function makeCell(batch: number, engines: readonly Measurement[]): Cell {
  const key = { arch: 'resnet50', dtype: 'float32', device: 'cpu', batch, height: 224, width: 224 };
  return { ...key, macs: 4e9, engines, skipped: [] };
}

export const machine = {
  cpu: 'Imaginary 9000',
  cores: 2,
  isa: 'avx512',
  caches: { L1d: 32768, L2: 1048576 },
  memoryBytes: 8e9,
  os: 'Linux 6.1 x64',
};

export const peak = { threads: 2, gflops: { float32: 500 }, bandwidth: 20 };

export function makeResults(cells: readonly Cell[]): Results {
  return {
    format: FORMAT,
    version: VERSION,
    date: '2026-01-02T03:04:05.678Z',
    command: 'resnet-native bench --peers onnxruntime',
    versions: { 'resnet-native': '0.1.0', node: 'v22.0.0' },
    machine,
    peak,
    settings: { threads: 2, seconds: 5, rounds: 2 },
    cells,
  };
}

export function makePipelineResults(): PipelineResults {
  const round = { seconds: 2, eventLoopP99Ms: 1.5, eventLoopWorstMs: 30 };
  const measured = {
    version: '1',
    peakRssBytes: 300e6,
    rounds: [round],
    eventLoopP99Ms: 1.5,
    eventLoopWorstMs: 30,
  };
  return {
    format: PIPELINE_FORMAT,
    version: 1,
    date: '2026-01-02T03:04:05.678Z',
    command: 'node bench/pipeline.mjs',
    versions: { node: 'v22.0.0' },
    machine,
    threads: 2,
    cells: [
      {
        arch: 'resnet18',
        images: 100,
        batch: 8,
        engines: [
          { ...measured, engine: 'resnet-native', imagesPerSecond: 150, loadAndFirstMs: 60 },
          { ...measured, engine: 'sharp + onnxruntime-node', imagesPerSecond: 100, loadAndFirstMs: 80 },
        ],
        ratio: 1.5,
        sameTop1: 1,
      },
    ],
  };
}

const PROVENANCE = {
  version: 1,
  date: '2026-01-02T03:04:05.678Z',
  command: 'node bench/extract/run.mjs',
  versions: { 'resnet-native': '0.1.0', node: 'v22.0.0' },
  machine,
} as const;

export function makeExtractResults(): ExtractResults {
  const own = { engine: 'resnet-native', dtype: 'int8', version: '0.1.0', loadMs: 100, rounds: [1] };
  const torch = { engine: 'torch', dtype: 'float32', version: '2.0', loadMs: 9000, rounds: [1.5] };
  const engines = [
    { ...own, peakRssBytes: 250e6, imagesPerSecond: 90, difference: 0 },
    { ...torch, peakRssBytes: 500e6, imagesPerSecond: 60, difference: 2e-2, ratio: 1.5 },
  ];
  const alone = { decode: 400, compute: 100 };
  const cell = { arch: 'resnet18', dtype: 'int8', batch: 32, engines, alone, skipped: [] };
  return { ...PROVENANCE, format: EXTRACT_FORMAT, threads: 2, images: 90, bytes: 9e6, cells: [cell] };
}

export function makeWorkersResults(): WorkersResults {
  const cells = [
    { workers: 1, imagesPerSecond: 50 },
    { workers: 2, imagesPerSecond: 75 },
  ];
  return { ...PROVENANCE, format: WORKERS_FORMAT, arch: 'resnet18', images: 90, shardSize: 10, cells };
}
