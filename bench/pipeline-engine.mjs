// One engine of bench/pipeline.mjs, in a process of its own: image files to their likeliest classes, by this package or
// by sharp and onnxruntime-node. Requests and answers are lines of JSON, as in lib/bench/protocol.ts.
//
//   node bench/pipeline-engine.mjs resnet-native
//   node bench/pipeline-engine.mjs onnxruntime PATH-OF-ONNXRUNTIME-NODE

import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

const TOP_K = 5;
const RESIZE = 256;
const CROP = 224;
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];
// The delay that is recorded includes the timer's own interval.
const TIMER_MS = 1;

/** Ours: `classify(files)` gives the indices of the likeliest classes of each file. */
async function loadOwn({ safetensors, threads, batch }) {
  const { createClassifier, loadModel } = await import('../dist/index.js');
  const model = await loadModel(safetensors);
  const classifier = await createClassifier(model, { device: 'cpu', threads, maxBatch: batch });
  return async (files) => {
    const results = await classifier.classify(files, { topK: TOP_K });
    return results.map((predictions) => predictions.map(({ index }) => index));
  };
}

/** The peer, written as its users would: the next batch is decoded while this one is computed. */
async function loadPeer({ onnx, threads, batch }, sharp, { InferenceSession, Tensor }) {
  const session = await InferenceSession.create(onnx, {
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const decode = async (files) => {
    const images = await Promise.all(files.map((file) => decodeImage(sharp, file)));
    const data = new Float32Array(images.length * 3 * CROP * CROP);
    images.forEach((pixels, i) => {
      normalise(pixels, data.subarray(i * 3 * CROP * CROP));
    });
    return new Tensor('float32', data, [images.length, 3, CROP, CROP]);
  };
  return async (files) => {
    const batches = [];
    for (let i = 0; i < files.length; i += batch) batches.push(files.slice(i, i + batch));
    const classes = [];
    let next = decode(batches[0]);
    for (let i = 0; i < batches.length; i++) {
      const input = await next;
      if (i + 1 < batches.length) next = decode(batches[i + 1]);
      const { logits } = await session.run({ input });
      const width = logits.dims[1];
      for (let n = 0; n < input.dims[0]; n++)
        classes.push(topK(logits.data.subarray(n * width, (n + 1) * width)));
    }
    return classes;
  };
}

async function decodeImage(sharp, file) {
  const { data, info } = await sharp(file)
    .resize(RESIZE, RESIZE, { fit: 'outside' })
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const [top, left] = [info.height, info.width].map((size) => Math.round((size - CROP) / 2));
  const rows = Array.from({ length: CROP }, (_, y) => ((top + y) * info.width + left) * 3);
  return rows.map((start) => data.subarray(start, start + CROP * 3));
}

/** Rows of RGB bytes to planes of normalised floats. */
function normalise(rows, planes) {
  for (let c = 0; c < 3; c++) {
    const [scale, shift] = [1 / (255 * STD[c]), MEAN[c] / STD[c]];
    let at = c * CROP * CROP;
    for (const row of rows) for (let x = c; x < row.length; x += 3) planes[at++] = row[x] * scale - shift;
  }
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
const runtime = engine === 'onnxruntime' ? require(modulePath) : undefined;
let classify;

async function answer({ op, ...request }) {
  if (op === 'memory') return { peakRssBytes: process.resourceUsage().maxRSS * 1024 };
  if (op === 'pass') return pass(classify, request.files);
  const start = performance.now();
  classify = runtime ? await loadPeer(request, sharp, runtime) : await loadOwn(request);
  await classify(request.files.slice(0, 1));
  return { loadAndFirstMs: performance.now() - start };
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(JSON.parse(line)).catch((error) => ({ error: error.message }));
  console.log(JSON.stringify(said));
}
