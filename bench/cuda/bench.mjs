// This package against torch on one GPU: writes bench/results/cuda-GPU.json cell by cell, so that a run that was cut off
// goes on where it stopped, and prints a table. No timing decides anything.
//
//   node bench/cuda/bench.mjs [--arch resnet50] [--dtype float16,bfloat16,tf32,int8] [--batch 1,8,32,128,256]
//     [--peer eager,compile|none] [--seconds 3] [--python python3] [--out FILE] [--again]
//
// --again measures cells that the file has already. A cell that fails is kept as its error.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { networkMacs } from '../../dist/bench/costs.js';
import { NetworkFiles } from '../../dist/bench/network-files.js';

const run = promisify(execFile);
const HERE = import.meta.dirname;
const CELL_TIMEOUT_MS = 600_000;

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: 'resnet50' },
    dtype: { type: 'string', default: 'float16,bfloat16,tf32,int8' },
    batch: { type: 'string', default: '1,8,32,128,256' },
    peer: { type: 'string', default: 'eager,compile' },
    seconds: { type: 'string', default: '3' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string' },
    again: { type: 'boolean', default: false },
  },
});
const list = (text) => text.split(',').filter((item) => item !== '' && item !== 'none');

async function json(file, args) {
  const { stdout } = await run(file, args, { timeout: CELL_TIMEOUT_MS, maxBuffer: 1 << 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** What an engine says of itself, or why it cannot. */
async function measured(file, args) {
  try {
    return await json(file, args);
  } catch (error) {
    return {
      error: String(error.stderr || error.message)
        .trim()
        .split('\n')
        .slice(-3)
        .join(' '),
    };
  }
}

const torchPeer = join(HERE, 'torch_peer.py');
const ceilings = await json(values.python, [torchPeer, 'ceilings']);
const slug = ceilings.gpu
  .toLowerCase()
  .replace(/^nvidia /, '')
  .replaceAll(/[^a-z0-9]+/g, '-');
const out = values.out ?? join(HERE, '..', 'results', `cuda-${slug}.json`);
const results = existsSync(out) && !values.again ? JSON.parse(readFileSync(out, 'utf8')) : { cells: [] };
Object.assign(results, {
  format: 'resnet-native-cuda-bench',
  version: 1,
  date: new Date().toISOString(),
  command: ['node', 'bench/cuda/bench.mjs', ...process.argv.slice(2)].join(' '),
  ceilings,
});

function cellOf(arch, dtype, batch) {
  const found = results.cells.find(
    (cell) => cell.arch === arch && cell.dtype === dtype && cell.batch === batch,
  );
  if (found) return found;
  const cell = { arch, dtype, batch, engines: {} };
  results.cells.push(cell);
  return cell;
}

async function engineRuns(files, dtype, batch) {
  const settings = [dtype, String(batch), values.seconds];
  const runs = [
    [
      'resnet-native',
      process.execPath,
      [join(HERE, 'own.mjs'), (await files.for(dtype)).safetensors, ...settings],
    ],
  ];
  if (dtype === 'int8') return runs; // torch has no int8 convolution on CUDA
  for (const peer of list(values.peer)) {
    runs.push([
      `torch ${peer}`,
      values.python,
      [torchPeer, peer, files.safetensors, files.arch, ...settings],
    ]);
  }
  return runs;
}

async function measureNetwork(files) {
  const macs = networkMacs(files.network.model.graph, [1, 3, 224, 224]);
  for (const dtype of list(values.dtype)) {
    for (const batch of list(values.batch).map(Number)) {
      const cell = cellOf(files.arch, dtype, batch);
      cell.macs = macs;
      for (const [engine, file, args] of await engineRuns(files, dtype, batch)) {
        if (cell.engines[engine] && !cell.engines[engine].error) continue;
        cell.engines[engine] = await measured(file, args);
        writeFileSync(out, `${JSON.stringify(results)}\n`);
        console.error(`${files.arch} ${dtype} batch ${batch}, ${engine}: ${summary(cell, engine)}`);
      }
    }
  }
}

for (const arch of list(values.arch)) {
  const files = await NetworkFiles.write(arch, false);
  try {
    await measureNetwork(files);
  } finally {
    await files[Symbol.asyncDispose]();
  }
}

function summary({ macs, dtype, engines }, engine) {
  const { error, hostImagesPerSecond, deviceImagesPerSecond, stepsImagesPerSecond, p50 } = engines[engine];
  if (error) return `failed: ${error}`;
  const device = deviceImagesPerSecond ?? stepsImagesPerSecond;
  const tflops = (2 * macs * device) / 1e12;
  const share = (100 * tflops) / (ceilings.tflops[dtype] ?? Number.NaN);
  return (
    `${hostImagesPerSecond.toFixed(0)} images/s from the host, ${device.toFixed(0)} on the device ` +
    `(${tflops.toFixed(1)} TFLOP/s, ${share.toFixed(1)}% of a matrix product), p50 ${p50.toFixed(2)} ms`
  );
}

/** The slowest steps of our plan, with what they would take at the card's ceilings. */
function layersTable(cell) {
  const own = cell.engines['resnet-native'];
  const slowest = own.steps.toSorted((a, b) => b.ms - a.ms).slice(0, 12);
  return slowest.map(
    ({ name, op, kernel, ms }) => `  ${ms.toFixed(3).padStart(8)} ms  ${name} (${op}, ${kernel})`,
  );
}

console.log(
  `${ceilings.gpu}: copy ${(ceilings.copyBytesPerSecond / 1e12).toFixed(2)} TB/s, ${JSON.stringify(ceilings.tflops)}`,
);
for (const cell of results.cells) {
  console.log(`\n${cell.arch} ${cell.dtype} batch ${cell.batch}`);
  for (const engine of Object.keys(cell.engines))
    console.log(`  ${engine.padEnd(14)} ${summary(cell, engine)}`);
  if (cell.engines['resnet-native']?.steps && cell.batch === 256) console.log(layersTable(cell).join('\n'));
}
const failed = results.cells.some((cell) => Object.values(cell.engines).some(({ error }) => error));
process.exit(failed ? 1 : 0);
