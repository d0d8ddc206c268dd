// From JPEG files to features in an .npy file: this package against a DataLoader with torch.compile, transformers.js, and
// sharp with onnxruntime-node, on the same files and parameters, in processes that take turns. Needs a built dist/ and
// build/; peers that are not installed are left out, saying so.
//
//   node bench/extract/run.mjs [--arch resnet18,resnet50] [--dtype float32] [--images 400] [--batch 32] [--rounds 3]
//     [--threads N] [--workers 1,2] [--engines NAME,…] [--python FILE] [--out FILE]

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EngineProcess } from '../../dist/bench/engine-process.js';
import { EXTRACT_FORMAT } from '../../dist/bench/extract-results.js';
import { NetworkFiles } from '../../dist/bench/network-files.js';
import { provenanceOf } from '../../dist/bench/provenance.js';
import { median } from '../../dist/bench/statistics.js';
import { commandOf, positiveIntegers } from '../arguments.mjs';
import { calibrationTensor } from './calibration.mjs';
import { contendersIn } from './engines.mjs';
import { makeImages } from './images.mjs';

const root = join(import.meta.dirname, '..', '..');

const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: 'resnet18,resnet50' },
    dtype: { type: 'string', default: 'float32' },
    images: { type: 'string', default: '400' },
    batch: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(availableParallelism()) },
    workers: { type: 'string', default: '2' },
    python: { type: 'string' },
    engines: { type: 'string' },
    out: { type: 'string' },
  },
});
const [count, batch, rounds, threads] = positiveIntegers(options, ['images', 'batch', 'rounds', 'threads']);
const { python } = options;
const workers = options.workers.split(',').map(Number);
const only = options.engines?.split(',');

/** The folder that transformers.js wants of a network, under `folder`. */
async function writeTransformers(onnx, folder) {
  const transformers = join(folder, 'transformers');
  await mkdir(join(transformers, 'onnx'), { recursive: true });
  const json = (name, content) => writeFile(join(transformers, name), JSON.stringify(content));
  await json('config.json', { model_type: 'resnet', architectures: ['ResNetModel'] });
  await json('preprocessor_config.json', {
    image_processor_type: 'ConvNextFeatureExtractor',
    ...{ do_resize: true, size: { shortest_edge: 224 }, crop_pct: 0.875, resample: 2 },
    ...{ do_rescale: true, rescale_factor: 1 / 255, do_normalize: true },
    ...{ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] },
  });
  const script = join(root, 'bench', 'peers', 'rename_onnx.py');
  if (python) execFileSync(python, [script, onnx, join(transformers, 'onnx', 'model.onnx')]);
  return transformers;
}

/** All float32 values of an .npy file. */
async function readRows(file) {
  const bytes = await readFile(file);
  const start = 10 + bytes.readUInt16LE(8);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
}

function difference(rows, own) {
  let [squares, norm] = [0, 0];
  for (let i = 0; i < own.length; i++) {
    squares += (rows[i] - own[i]) ** 2;
    norm += own[i] ** 2;
  }
  return Math.sqrt(squares / norm);
}

/** One network in one dtype: the engines are loaded, and then take turns. */
async function measure(arch, dtype, images) {
  const calibration = dtype === 'int8' ? await calibrationTensor(images) : undefined;
  const network = await NetworkFiles.write(arch, true, { outputs: ['avgpool'], python, calibration });
  const folder = await mkdtemp(join(tmpdir(), 'resnet-native-bench-'));
  const { contenders: wanted, skipped } = contendersIn(dtype, { python, workers, only });
  const contenders = [];
  try {
    const transformers = await writeTransformers(network.onnx, folder);
    for (const { name: engine, dtype, command, version, settings } of wanted) {
      const { safetensors, onnx, onnxMissing } = await network.for(dtype);
      if (onnxMissing && engine !== 'resnet-native') {
        skipped.push({ engine, reason: onnxMissing });
        continue;
      }
      const out = join(folder, `out-${contenders.length}`);
      await mkdir(out);
      const child = new EngineProcess(command, new AbortController().signal);
      const contender = { engine, dtype, process: child, out, rounds: [] };
      contenders.push(contender);
      const files = { safetensors, onnx, transformers };
      contender.load = await child.ask({
        op: 'load',
        ...{ arch, dtype, threads, batch, count, ...settings, ...files },
      });
      contender.version = contender.load.version ?? version();
      await child.ask({ op: 'pass', files: images.slice(0, 2 * batch), out });
    }
    for (let round = 0; round < rounds; round++) {
      for (const { process: child, out, rounds: times } of contenders) {
        times.push((await child.ask({ op: 'pass', files: images, out })).seconds);
      }
    }
    const { decode, compute } = await contenders[0].process.ask({
      op: 'alone',
      files: images.slice(0, 8 * batch),
    });
    for (const contender of contenders) contender.memory = await contender.process.ask({ op: 'memory' });
    return { ...(await cellOf(arch, dtype, contenders)), alone: { decode, compute }, skipped };
  } finally {
    for (const { process: child } of contenders) await child.close();
    await network[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  }
}

async function cellOf(arch, dtype, contenders) {
  const [own] = contenders;
  const ownRows = await readRows(join(own.out, 'part-00000.avgpool.npy'));
  const engines = [];
  for (const { engine, dtype, version, out, rounds: times, load, memory } of contenders) {
    const rows = engine === own.engine ? ownRows : await readRows(join(out, 'features.npy'));
    engines.push({
      ...{ engine, dtype, version, loadMs: load.loadMs, ...memory, rounds: times },
      imagesPerSecond: count / median(times),
      difference: difference(rows, ownRows),
      ...(engine !== own.engine && { ratio: median(own.rounds.map((seconds, i) => times[i] / seconds)) }),
    });
  }
  return { arch, dtype, batch, engines };
}

const provenance = await provenanceOf(commandOf('bench/extract/run.mjs'));
const folder = await makeImages(count);
const images = (await readdir(folder)).sort().map((name) => join(folder, name));
const sizes = await Promise.all(images.map(async (file) => (await stat(file)).size));
const cells = [];
for (const dtype of options.dtype.split(',')) {
  for (const arch of options.arch.split(',')) {
    const cell = await measure(arch, dtype, images);
    cells.push(cell);
    const { decode, compute } = cell.alone;
    const share = cell.engines[0].imagesPerSecond / Math.min(decode, compute);
    console.log(
      `${arch} ${dtype}: decoding alone ${decode.toFixed(1)}, computing alone ${compute.toFixed(1)} images/s; the pipeline ${(100 * share).toFixed(0)}% of the lesser`,
    );
    for (const { engine, dtype, imagesPerSecond, peakRssBytes, ratio, difference: off } of cell.engines) {
      const against = ratio
        ? `, ours is ${ratio.toFixed(2)}×, its features differ by ${off.toExponential(1)}`
        : '';
      console.log(
        `  ${engine} ${dtype}: ${imagesPerSecond.toFixed(1)} images/s, ${(peakRssBytes / 1e6).toFixed(0)} MB${against}`,
      );
    }
    for (const { engine, reason } of cell.skipped) console.log(`  not measured: ${engine}: ${reason}`);
  }
}
const results = {
  format: EXTRACT_FORMAT,
  version: 1,
  ...provenance,
  ...{ threads, images: count, bytes: sizes.reduce((a, b) => a + b, 0), cells },
};
if (options.out) await writeFile(options.out, `${JSON.stringify(results)}\n`);
