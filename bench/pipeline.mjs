// From JPEG files to classes: this package against sharp and onnxruntime-node, on the same files and parameters, in
// processes that take turns. Needs a built dist/ and build/; the peer is left out where it is not installed.
//
//   node bench/pipeline.mjs [--arch resnet18,resnet50] [--images 64] [--batch 8] [--rounds 5] [--threads N] [--out FILE]

import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { EngineProcess } from '../dist/bench/engine-process.js';
import { NetworkFiles } from '../dist/bench/network-files.js';
import { resolveOnnxRuntime } from '../dist/bench/peers.js';
import { PIPELINE_FORMAT } from '../dist/bench/pipeline-results.js';
import { provenanceOf } from '../dist/bench/provenance.js';
import { median } from '../dist/bench/statistics.js';
import { ownVersion, versionOf } from '../dist/bench/versions.js';
import { commandOf, positiveIntegers } from './arguments.mjs';

const root = join(import.meta.dirname, '..');
const PHOTOS = ['china.jpg', 'flower.jpg'].map((name) => join(root, 'test', 'golden', 'images', name));
const ENGINE = join(import.meta.dirname, 'pipeline-engine.mjs');

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: 'resnet18,resnet50' },
    images: { type: 'string', default: '64' },
    batch: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string', default: join(root, 'bench', 'results', 'pipeline.json') },
  },
});
const [images, batch, rounds, threads] = positiveIntegers(options, ['images', 'batch', 'rounds', 'threads']);

/** The engines to measure, ours first. */
function findEngines() {
  const command = (engine, ...args) => ({ engine, file: process.execPath, args: [ENGINE, ...args] });
  const own = { command: command('resnet-native', 'resnet-native'), version: ownVersion() };
  const path = resolveOnnxRuntime();
  if (path) {
    const peer = command('sharp + onnxruntime-node', 'onnxruntime', path);
    return [own, { command: peer, version: versionOf(path) }];
  }
  console.error('Only resnet-native is measured: npm install --ignore-scripts in bench/peers gets the peer');
  return [own];
}

/** One network: the engines are loaded, and then take turns. */
async function measure(arch, engines) {
  const network = await NetworkFiles.write(arch, engines.length > 1);
  const files = Array.from({ length: images }, (_, i) => PHOTOS[i % PHOTOS.length]);
  const contenders = [];
  try {
    for (const { command, version } of engines) {
      const process = new EngineProcess(command, new AbortController().signal);
      contenders.push({ engine: command.engine, version, process, passes: [] });
    }
    const { safetensors, onnx } = network;
    for (const contender of contenders) {
      contender.loaded = await contender.process.ask({
        op: 'load',
        safetensors,
        onnx,
        files,
        threads,
        batch,
      });
      await contender.process.ask({ op: 'pass', files: files.slice(0, 2 * batch) });
    }
    for (let round = 0; round < rounds; round++) {
      for (const { process, passes } of contenders) passes.push(await process.ask({ op: 'pass', files }));
    }
    for (const contender of contenders) contender.memory = await contender.process.ask({ op: 'memory' });
  } finally {
    for (const { process } of contenders) await process.close();
    await network[Symbol.asyncDispose]();
  }
  return cellOf(arch, contenders);
}

function cellOf(arch, contenders) {
  const [own, peer] = contenders;
  return {
    arch,
    images,
    batch,
    engines: contenders.map(({ engine, version, loaded, memory, passes }) => ({
      engine,
      version,
      ...loaded,
      ...memory,
      rounds: passes.map(({ top1, ...times }) => times),
      imagesPerSecond: images / median(passes.map(({ seconds }) => seconds)),
      eventLoopP99Ms: median(passes.map(({ eventLoopP99Ms }) => eventLoopP99Ms)),
      eventLoopWorstMs: Math.max(...passes.map(({ eventLoopWorstMs }) => eventLoopWorstMs)),
    })),
    ...(peer && {
      ratio: median(own.passes.map(({ seconds }, round) => peer.passes[round].seconds / seconds)),
      sameTop1: own.passes[0].top1.filter((index, i) => index === peer.passes[0].top1[i]).length / images,
    }),
  };
}

const provenance = await provenanceOf(commandOf('bench/pipeline.mjs'));
const engines = findEngines();
const cells = [];
for (const arch of options.arch.split(',')) {
  const cell = await measure(arch, engines);
  cells.push(cell);
  for (const measured of cell.engines) {
    const figures = [
      `${measured.imagesPerSecond.toFixed(1)} images/s`,
      `event loop p99 ${measured.eventLoopP99Ms.toFixed(1)} ms, worst ${measured.eventLoopWorstMs.toFixed(1)} ms`,
      `load and first image ${measured.loadAndFirstMs.toFixed(0)} ms`,
      `peak memory ${(measured.peakRssBytes / 1e6).toFixed(0)} MB`,
    ];
    console.log(`${arch}: ${measured.engine}: ${figures.join(', ')}`);
  }
  if (cell.ratio) console.log(`${arch}: ours is ${cell.ratio.toFixed(2)}×`);
}
const results = {
  format: PIPELINE_FORMAT,
  version: 1,
  ...provenance,
  threads,
  cells,
};
await writeFile(options.out, `${JSON.stringify(results)}\n`);
