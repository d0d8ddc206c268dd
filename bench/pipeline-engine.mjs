// One engine of bench/pipeline.mjs, in a process of its own: image files to their likeliest classes, by this package or
// by sharp and onnxruntime-node. Requests and answers are lines of JSON, as in lib/bench/protocol.ts.
//
//   node bench/pipeline-engine.mjs resnet-native
//   node bench/pipeline-engine.mjs onnxruntime PATH-OF-ONNXRUNTIME-NODE

import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { answerLines } from '../dist/bench/answer-lines.js';
import { peakMemoryBytes } from '../dist/bench/peak-memory.js';
import { loadSharpOnnxRuntime } from './peers/sharp-onnxruntime.mjs';

const TOP_K = 5;
// The delay that is recorded includes the timer's own interval.
const TIMER_MS = 1;

/** Ours: `classify(files)` gives the indices of the likeliest classes of each file. */
async function loadOwn({ safetensors, threads, batch }, { createClassifier, loadModel }) {
  const model = await loadModel(safetensors);
  const classifier = await createClassifier(model, { device: 'cpu', threads, maxBatch: batch });
  return async (files) => {
    const results = await classifier.classify(files, { topK: TOP_K });
    return results.map((predictions) => predictions.map(({ index }) => index));
  };
}

async function loadPeer(settings, sharp, runtime) {
  const outputsOf = await loadSharpOnnxRuntime({ ...settings, output: 'logits' }, sharp, runtime);
  return async (files) => {
    const classes = [];
    for await (const { data, width } of outputsOf(files)) {
      for (let at = 0; at < data.length; at += width) classes.push(topK(data.subarray(at, at + width)));
    }
    return classes;
  };
}

function topK(logits) {
  const indices = Array.from(logits.keys());
  return indices.sort((a, b) => logits[b] - logits[a]).slice(0, TOP_K);
}

/** Classifies all files, and tells how long that took and how late the event loop was meanwhile. */
async function pass(classify, files) {
  const delays = monitorEventLoopDelay({ resolution: TIMER_MS });
  delays.enable();
  const start = performance.now();
  const classes = await classify(files);
  const seconds = (performance.now() - start) / 1000;
  delays.disable();
  const [eventLoopP99Ms, eventLoopWorstMs] = [delays.percentile(99), delays.max].map((nanoseconds) => {
    return Math.max(0, nanoseconds / 1e6 - TIMER_MS);
  });
  return { seconds, eventLoopP99Ms, eventLoopWorstMs, top1: classes.map(([first]) => first) };
}

const [, , engine, modulePath] = process.argv;
const require = createRequire(import.meta.url);
const { default: sharp } = await import('sharp');
// Before the clock starts, as sharp is: what is timed is the network.
const runtime = engine === 'onnxruntime' ? require(modulePath) : undefined;
const own = runtime ? undefined : await import('../dist/index.js');
let classify;

await answerLines(async ({ op, ...request }) => {
  if (op === 'memory') return { peakRssBytes: peakMemoryBytes() };
  if (op === 'pass') return pass(classify, request.files);
  const start = performance.now();
  classify = runtime ? await loadPeer(request, sharp, runtime) : await loadOwn(request, own);
  await classify(request.files.slice(0, 1));
  return { loadAndFirstMs: performance.now() - start };
});
