// The process that is loaded: this package's server, or the peer's.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { answerLines } from '../../dist/bench/answer-lines.js';
import { createServer, Tensor } from '../../dist/index.js';
import { poissonArrivals } from './arrivals.mjs';
import { startPeer } from './peer.mjs';

// The delay that is recorded includes the timer's own interval.
const TIMER_MS = 1;
const delays = monitorEventLoopDelay({ resolution: TIMER_MS });
delays.enable();

let server;
let last = { cpu: process.cpuUsage(), at: performance.now() };

async function startOwn({ safetensors, threads, ...defaults }) {
  const models = { model: safetensors };
  server = await createServer({ models, defaults: { device: 'cpu', threads, ...defaults }, port: 0 });
  return Number(new URL(await server.listen()).port);
}

/** The session alone, without a server before it: milliseconds of each run. */
async function bare({ batch, shape, seconds }) {
  const { session } = server.models.get('model');
  const input = Tensor.allocate([batch, ...shape], 'float32');
  const ms = [];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    const start = performance.now();
    await session.run(input);
    ms.push(performance.now() - start);
  }
  return { ms };
}

/** The batcher without a server before it: milliseconds of each request that it answered. */
async function inProcess({ shape, ...arrivals }) {
  const { batcher } = server.models.get('model');
  const input = Tensor.allocate([1, ...shape], 'float32');
  const ms = [];
  const runs = [];
  await poissonArrivals(arrivals, (intended) => {
    runs.push(batcher.run(input).then(() => ms.push(performance.now() - intended)));
  });
  // What it refuses counts no more than it does over HTTP.
  await Promise.allSettled(runs);
  return { ms };
}

/** Since it was last asked. */
function usage() {
  const { user, system } = process.cpuUsage(last.cpu);
  const serverCores = (user + system) / 1000 / (performance.now() - last.at);
  last = { cpu: process.cpuUsage(), at: performance.now() };
  const [eventLoopP99Ms, eventLoopWorstMs] = [delays.percentile(99), delays.max].map((nanoseconds) =>
    Math.max(0, nanoseconds / 1e6 - TIMER_MS),
  );
  delays.reset();
  return {
    serverCores,
    rssBytes: process.memoryUsage.rss(),
    eventLoopP99Ms,
    eventLoopWorstMs,
  };
}

const operations = {
  own: async (request) => ({ port: await startOwn(request) }),
  peer: async (request) => ({ port: await startPeer(request) }),
  bare,
  inProcess,
  usage,
  batches: () => {
    const { batchSizes } = server.models.get('model').batcher.stats();
    return Object.fromEntries(
      [...batchSizes].map(([rows, { count, totalMs }]) => [rows, { count, totalMs }]),
    );
  },
};
await answerLines(async ({ op, ...request }) => operations[op](request));
