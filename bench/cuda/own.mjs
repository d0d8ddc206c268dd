// Measures this package on a GPU, in one cell: from uint8 images in host memory to logits in host memory, with two runs
// in flight, then one at a time, then step by step. Prints one line of JSON.
//
//   node bench/cuda/own.mjs MODEL.safetensors float16 256 5      (weights, dtype, batch, seconds)

import { loadModel, Tensor } from '../../dist/index.js';

const [file, dtype, batchText, secondsText] = process.argv.slice(2);
const batch = Number(batchText);
const milliseconds = 1000 * Number(secondsText);
const PROFILED_RUNS = 5;

const model = await loadModel(file);
const start = performance.now();
const session = await model.compile({ device: 'cuda', dtype, maxBatch: batch });
const compileMs = performance.now() - start;
const images = Tensor.allocate([batch, 224, 224, 3], 'uint8');
for (let i = 0; i < images.data.length; i++) images.data[i] = (Math.imul(i, 0x9e3779b9) >>> 24) & 255;

/** Runs for about that long with so many in flight; the milliseconds of every run. */
async function runFor(inFlight, length) {
  const times = [];
  const end = performance.now() + length;
  const lane = async () => {
    while (performance.now() < end) {
      const begin = performance.now();
      await session.run(images);
      times.push(performance.now() - begin);
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { times, elapsed: performance.now() - begin };
}

function quantile(times, share) {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

const firstRun = performance.now();
await session.run(images);
const firstRunMs = performance.now() - firstRun;
await runFor(2, Math.min(milliseconds / 4, 1000)); // captures graphs, raises clocks

const overlapped = await runFor(2, milliseconds);
const alone = await runFor(1, milliseconds / 2);
const profiles = [];
for (let i = 0; i < PROFILED_RUNS; i++) profiles.push(await session.profile(images));
const steps = session.plan.map(({ name, op, kernel }, step) => ({
  name,
  op,
  kernel,
  ms: quantile(
    profiles.map((profile) => profile[step]?.ms ?? 0),
    0.5,
  ),
}));
await session.close();

const stepsMs = steps.reduce((sum, { ms }) => sum + ms, 0);
console.log(
  JSON.stringify({
    engine: 'resnet-native',
    dtype,
    batch,
    compileMs,
    firstRunMs,
    hostImagesPerSecond: (1000 * batch * overlapped.times.length) / overlapped.elapsed,
    // The sum of the steps, each launched and waited for alone: what a graph saves is not in it.
    stepsImagesPerSecond: (1000 * batch) / stepsMs,
    p50: quantile(alone.times, 0.5),
    p99: quantile(alone.times, 0.99),
    steps,
  }),
);
