import { request } from 'node:http';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, percentile } from '../../dist/bench/statistics.js';
import { Contenders } from './contenders.mjs';
import { open } from './open.mjs';

const CONCURRENCIES = [1, 8, 64];
const BARE_BATCHES = [1, 8, 32];
const ROUNDS = 5;

/** What is measured, by name. Each takes 60 to 90 s at `scale` 1, `open` three minutes. */
export const PARTS = { closed, open, overload, memory };

/** Throughput: rounds in which our bare session, our server and the peer's take turns; the clock of a machine moves. */
async function closed(options) {
  const seconds = 1.5 * options.scale;
  const contenders = await Contenders.start({ ...options, withPeer: true });
  const cells = contenders.servers.flatMap(({ engine, version }) =>
    CONCURRENCIES.map((concurrency) => ({ engine, version, concurrency, rounds: [] })),
  );
  const bare = BARE_BATCHES.map((batch) => ({ batch, rounds: [] }));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const { batch, rounds } of bare) {
        const ms = await contenders.bare(batch, seconds);
        rounds.push((1000 * batch * ms.length) / ms.reduce((sum, time) => sum + time, 0));
      }
      for (const { engine, concurrency, rounds } of cells) {
        const server = contenders.servers.find((it) => it.engine === engine);
        rounds.push(await contenders.load(server, { op: 'closed', connections: concurrency, seconds }));
      }
    }
  } finally {
    await contenders[Symbol.asyncDispose]();
  }
  for (const cell of bare) cell.imagesPerSecond = median(cell.rounds);
  // The batch that is best over all rounds: the largest of each would be so by chance.
  const best = bare.toSorted((a, b) => b.imagesPerSecond - a.imagesPerSecond)[0].rounds;
  for (const { batch, imagesPerSecond } of bare)
    options.log(`bare session, batch ${batch}: ${imagesPerSecond.toFixed(1)} images/s`);
  for (const cell of cells) {
    const of = (key) => median(cell.rounds.map((round) => round[key]));
    cell.imagesPerSecond = of('perSecond');
    cell.p50 = of('p50');
    cell.p99 = of('p99');
    cell.generatorCores = of('generatorCores');
    const left = (round) => 1 - round.generatorCores / availableParallelism();
    cell.shareOfBare = median(cell.rounds.map((round, i) => round.perSecond / (best[i] * left(round))));
    cell.eventLoopP99Ms = of('eventLoopP99Ms');
    options.log(
      `${cell.engine}, ${cell.concurrency} clients: ${cell.imagesPerSecond.toFixed(1)} images/s, ` +
        `p50 ${cell.p50.toFixed(1)} p99 ${cell.p99.toFixed(1)} ms, generator ${cell.generatorCores.toFixed(2)} cores, ` +
        `${(100 * cell.shareOfBare).toFixed(0)}% of bare, event loop p99 ${cell.eventLoopP99Ms.toFixed(1)} ms`,
    );
  }
  return { seconds, bare, cells };
}

/** Three times as many requests as the server can answer. */
async function overload(options) {
  const contenders = await Contenders.start(options);
  try {
    const capacity = await contenders.capacity(4 * options.scale);
    const load = { op: 'open', rate: 3 * capacity, seconds: 60 * options.scale, maxConnections: 1024 };
    const probing = new AbortController();
    const health = probeHealth(contenders.own.port, probing.signal);
    const { ms: _, ...measured } = await contenders.load(contenders.own, load);
    probing.abort();
    const healthMs = await health;
    const [healthP99Ms, healthWorstMs] = [0.99, 1].map((share) => percentile(healthMs, share));
    const batches = await contenders.own.process.ask({ op: 'batches' });
    options.log(
      `${measured.perSecond.toFixed(1)} of ${capacity.toFixed(1)} images/s = ${((100 * measured.perSecond) / capacity).toFixed(0)}%, ` +
        `${JSON.stringify(measured.statuses)}, ${measured.resets} resets, health p99 ${healthP99Ms.toFixed(1)} worst ${healthWorstMs.toFixed(1)} ms, ` +
        `event loop p99 ${measured.eventLoopP99Ms.toFixed(1)} ms, generator ${measured.generatorCores.toFixed(2)} cores ${JSON.stringify(batches)}`,
    );
    return { capacity, ...measured, healthProbes: healthMs.length, healthP99Ms, healthWorstMs };
  } finally {
    await contenders[Symbol.asyncDispose]();
  }
}

/** Ten times a second, how long the server takes to say that it lives. */
async function probeHealth(port, signal) {
  const ms = [];
  while (!signal.aborted) {
    const start = performance.now();
    await new Promise((resolve, reject) => {
      const sent = request({ port, host: '127.0.0.1', path: '/v2/health/live', agent: false }, (response) =>
        response.resume().on('end', resolve),
      );
      sent.on('error', reject).end();
    });
    ms.push(performance.now() - start);
    await sleep(100);
  }
  return ms;
}

/** Whether small requests leave anything behind: memory over 200,000 of them, on a network that takes no time. */
async function memory(options) {
  const requests = Math.round(200_000 * options.scale);
  const contenders = await Contenders.start({ ...options, arch: 'cifar-resnet20' });
  const input = { ...contenders.input, shape: [1, 3, 8, 8] };
  const send = (count) =>
    contenders.load(contenders.own, { op: 'closed', connections: 32, requests: count, input });
  try {
    // What is allocated once, and compiled as it gets hot, is no growth.
    await send(requests / 10);
    const rssBytes = [];
    const started = performance.now();
    for (let part = 0; part < 10; part++) rssBytes.push((await send(requests / 10)).rssBytes);
    const seconds = (performance.now() - started) / 1000;
    const growth = (median(rssBytes.slice(-3)) - median(rssBytes.slice(0, 3))) / median(rssBytes.slice(0, 3));
    options.log(
      `${requests} requests, ${(requests / seconds).toFixed(0)}/s: ${rssBytes.map((it) => (it / 1e6).toFixed(0)).join(' ')} MB, ${(100 * growth).toFixed(1)}% growth`,
    );
    return { requests, seconds, rssBytes, growth };
  } finally {
    await contenders[Symbol.asyncDispose]();
  }
}
