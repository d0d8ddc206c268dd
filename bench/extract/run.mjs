// From JPEG files to features in an .npy file: this package against a DataLoader with torch.compile, transformers.js, and
// sharp with onnxruntime-node, on the same files and parameters, in processes that take turns. Needs a built dist/ and
// build/; peers that are not installed are left out, saying so.
//
//   node bench/extract/run.mjs [--arch resnet18,resnet50] [--dtype float32] [--images 400] [--batch 32] [--rounds 3]
//     [--threads N] [--workers 2] [--python FILE] [--out FILE]

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { EngineProcess } from '../../dist/bench/engine-process.js';
import { EXTRACT_FORMAT } from '../../dist/bench/extract-results.js';
import { describeMachine } from '../../dist/bench/machine.js';
import { NetworkFiles } from '../../dist/bench/network-files.js';
import { median } from '../../dist/bench/statistics.js';
import { ownVersion, versionOf } from '../../dist/bench/versions.js';
import { positiveIntegers } from '../arguments.mjs';
import { makeImages } from './images.mjs';

const root = join(import.meta.dirname, '..', '..');
const PEERS_FOLDER = join(root, 'bench', 'peers');
const CALIBRATION_IMAGES = 64;

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
const [count, batch, rounds, threads, workers] = positiveIntegers(options, [
  'images',
  'batch',
  'rounds',
  'threads',
  'workers',
]);
const { python } = options;

/** The engines, ours first: how each is started, or why it cannot be. */
const node = (engine) => ({
  engine,
  file: process.execPath,
  args: [join(import.meta.dirname, 'engine.mjs'), engine, PEERS_FOLDER],
});
const ENGINES = [
  {
    name: 'resnet-native',
    command: node('resnet-native'),
    version: () => ownVersion(),
    dtypes: ['float32', 'bfloat16', 'int8'],
  },
  {
    name: 'torch.compile + DataLoader',
    command: { engine: 'torch', file: python, args: [join(PEERS_FOLDER, 'torch_extract.py')] },
    needsPython: true,
    dtypes: ['float32', 'bfloat16'],
  },
  {
    name: 'sharp + onnxruntime-node',
    command: node('sharp-onnxruntime'),
    version: () => installed('onnxruntime-node'),
    dtypes: ['float32', 'int8'],
  },
  {
    name: 'transformers.js',
    command: node('transformers'),
    version: () => installed('@huggingface/transformers'),
    needsPython: true,
    dtypes: ['float32', 'int8'],
  },
];

function installed(name) {
  return versionOf(createRequire(join(PEERS_FOLDER, 'package.json')).resolve(name));
}

function whyLeftOut({ needsPython, version, dtypes }, dtype) {
  if (!dtypes.includes(dtype)) return `it is not measured in ${dtype}`;
  if (needsPython && !python)
    return 'it needs Python: point --python at one that has torch, onnx and onnxruntime';
  try {
    version?.();
  } catch {
    return 'npm install --ignore-scripts in bench/peers gets it';
  }
  return undefined;
}

/** The files of a network that the engines load: ours, ONNX, and the folder that transformers.js wants. */
async function writeModel(network, folder, dtype, images) {
  let { onnx } = network;
  if (dtype === 'int8' && python) {
    const calibration = images.filter((_, i) => i % Math.ceil(images.length / CALIBRATION_IMAGES) === 0);
    onnx = join(folder, 'int8.onnx');
    execFileSync(
      python,
      [join(PEERS_FOLDER, 'onnx_files.py'), 'quantize', network.onnx, onnx, ...calibration],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
  }
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
  const name = dtype === 'int8' ? 'model_int8.onnx' : 'model.onnx';
  if (python)
    execFileSync(python, [
      join(PEERS_FOLDER, 'onnx_files.py'),
      'rename',
      onnx,
      join(transformers, 'onnx', name),
    ]);
  return { safetensors: network.safetensors, onnx, transformers };
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
  const network = await NetworkFiles.write(arch, true, { outputs: ['avgpool'] });
  const folder = await mkdtemp(join(tmpdir(), 'resnet-native-bench-'));
  const wanted = options.engines?.split(',');
  const listed = ENGINES.filter(({ name }) => !wanted || wanted.includes(name));
  const skipped = listed.flatMap((engine) => {
    const reason = whyLeftOut(engine, dtype);
    return reason ? [{ engine: engine.name, reason }] : [];
  });
  const contenders = [];
  try {
    const files = await writeModel(network, folder, dtype, images);
    for (const engine of listed) {
      if (skipped.some(({ engine: name }) => name === engine.name)) continue;
      const out = join(folder, `out-${contenders.length}`);
      await mkdir(out);
      const child = new EngineProcess(engine.command, new AbortController().signal);
      const contender = { engine: engine.name, process: child, out, rounds: [] };
      contenders.push(contender);
      contender.load = await child.ask({ op: 'load', arch, dtype, threads, batch, workers, count, ...files });
      contender.version = contender.load.version ?? engine.version();
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
  for (const { engine, version, out, rounds: times, load, memory } of contenders) {
    const rows = engine === own.engine ? ownRows : await readRows(join(out, 'features.npy'));
    engines.push({
      ...{ engine, version, loadMs: load.loadMs, ...memory, rounds: times },
      imagesPerSecond: count / median(times),
      difference: difference(rows, ownRows),
      ...(engine !== own.engine && { ratio: median(own.rounds.map((seconds, i) => times[i] / seconds)) }),
    });
  }
  return { arch, dtype, batch, engines };
}

const date = new Date().toISOString();
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
    for (const { engine, imagesPerSecond, peakRssBytes, ratio, difference: off } of cell.engines) {
      const against = ratio
        ? `, ours is ${ratio.toFixed(2)}×, its features differ by ${off.toExponential(1)}`
        : '';
      console.log(
        `  ${engine}: ${imagesPerSecond.toFixed(1)} images/s, ${(peakRssBytes / 1e6).toFixed(0)} MB${against}`,
      );
    }
    for (const { engine, reason } of cell.skipped) console.log(`  not measured: ${engine}: ${reason}`);
  }
}
const results = {
  format: EXTRACT_FORMAT,
  version: 1,
  date,
  command: ['node bench/extract/run.mjs', ...process.argv.slice(2)].join(' '),
  versions: { 'resnet-native': ownVersion(), node: process.version },
  machine: await describeMachine(),
  ...{ threads, images: count, bytes: sizes.reduce((a, b) => a + b, 0), cells },
};
if (options.out) await writeFile(options.out, `${JSON.stringify(results)}\n`);
