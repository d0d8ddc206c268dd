// What a second worker adds: the same files through a queue, by one process and by several, of one thread each. Needs a
// built dist/ and build/, and redis-server.
//
//   node bench/extract/workers.mjs [--arch resnet18] [--images 256] [--shard-size 16] [--workers 1,2] [--out FILE]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WORKERS_FORMAT } from '../../dist/bench/extract-results.js';
import { NetworkFiles } from '../../dist/bench/network-files.js';
import { provenanceOf } from '../../dist/bench/provenance.js';
import { queueStatus } from '../../dist/extract/queue/status.js';
import { commandOf, positiveIntegers } from '../arguments.mjs';
import { makeImages } from './images.mjs';

const CLI = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
const POLL_MS = 50;

const { values } = parseArgs({
  options: {
    arch: { type: 'string', default: 'resnet18' },
    images: { type: 'string', default: '256' },
    'shard-size': { type: 'string', default: '16' },
    workers: { type: 'string', default: '1,2' },
    out: { type: 'string' },
  },
});
const { arch } = values;
const [images, shardSize] = positiveIntegers(values, ['images', 'shard-size']);

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Images/s from the first part that was begun to the last one done: loading and compiling are no part of it. */
async function measure(count, { folder, out, queue, safetensors }) {
  const options = ['--out', out, '--queue', queue, '--threads', '1', '--shard-size', String(shardSize)];
  const args = [CLI, 'extract', folder, '--arch', arch, '--weights', safetensors, '--json', ...options];
  const start = () => spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const workers = Array.from({ length: count }, start);
  const exits = Promise.all(workers.map((worker) => once(worker, 'exit')));
  const parts = Math.ceil(images / shardSize);
  let [begun, first] = [0, 0];
  for (;;) {
    const { planned, active, done, parked } = await queueStatus({ url: queue, out });
    if (parked.length > 0) throw new Error(`${parked[0].part} failed: ${parked[0].error}`);
    // All workers have to be at it: the time they take to start differs.
    if (!begun && planned && active >= count) [begun, first] = [performance.now(), done];
    if (done === parts) {
      const seconds = (performance.now() - begun) / 1000;
      await exits;
      return ((parts - first) * shardSize) / seconds;
    }
    await sleep(POLL_MS);
  }
}

const provenance = await provenanceOf(commandOf('bench/extract/workers.mjs'));
const folder = await makeImages(images);
const network = await NetworkFiles.write(arch, false);
const temporary = await mkdtemp(join(tmpdir(), 'resnet-native-bench-'));
const port = await freePort();
const redis = spawn('redis-server', ['--port', String(port), '--dir', temporary, '--save', ''], {
  stdio: 'ignore',
});
const cells = [];
try {
  await sleep(500);
  for (const workers of values.workers.split(',').map(Number)) {
    const out = join(temporary, `out-${workers}`);
    const queue = `redis://127.0.0.1:${port}`;
    const imagesPerSecond = await measure(workers, { folder, out, queue, safetensors: network.safetensors });
    cells.push({ workers, imagesPerSecond });
    console.log(`${workers} workers: ${imagesPerSecond.toFixed(1)} images/s`);
  }
} finally {
  redis.kill();
  await network[Symbol.asyncDispose]();
  await rm(temporary, { recursive: true, force: true });
}
const results = {
  format: WORKERS_FORMAT,
  version: 1,
  ...provenance,
  ...{ arch, images, shardSize, cells },
};
if (values.out) await writeFile(values.out, `${JSON.stringify(results)}\n`);
