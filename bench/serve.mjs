// The server under load, from this machine over loopback: this package's, and one of Fastify and onnxruntime-node for the
// same requests. The load comes from a process of its own, on the same cores: what it takes is measured and written down.
// Needs a built dist/ and build/; the peer is left out where it is not installed.
//
//   node bench/serve.mjs [--parts closed,open,overload,memory] [--arch resnet18] [--threads N] [--out FILE]
//
// Every part takes 60 to 90 seconds, `open` three minutes. Parts that are not asked for stay in the file as they are.

import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { provenanceOf } from '../dist/bench/provenance.js';
import { SERVE_FORMAT } from '../dist/bench/serve-results.js';
import { commandOf } from './arguments.mjs';
import { PARTS } from './serve/parts.mjs';

const root = join(import.meta.dirname, '..');
const names = Object.keys(PARTS);

const { values: options } = parseArgs({
  options: {
    parts: { type: 'string', default: names.join() },
    arch: { type: 'string', default: 'resnet18' },
    threads: { type: 'string', default: String(availableParallelism()) },
    // Of each measurement: for tests, which measure nothing.
    scale: { type: 'string', default: '1' },
    out: { type: 'string', default: join(root, 'bench', 'results', 'serve.json') },
  },
});
const { arch, out } = options;
const parts = options.parts.split(',');
const [threads, scale] = [Number(options.threads), Number(options.scale)];
const unknown = parts.find((part) => !names.includes(part));
if (unknown !== undefined || !(Number.isSafeInteger(threads) && threads > 0) || !(scale > 0)) {
  console.error(`Expected --parts of ${names.join(',')}, --threads of at least 1 and --scale above 0`);
  process.exit(2);
}

const { command, machine, versions } = await provenanceOf(commandOf('bench/serve.mjs'));
const before = existsSync(out) ? JSON.parse(readFileSync(out, 'utf8')) : undefined;
// Parts measured elsewhere would not belong together.
const same = before?.machine.cpu === machine.cpu && before.arch === arch && before.threads === threads;
let results = {
  format: SERVE_FORMAT,
  version: 1,
  arch,
  threads,
  machine,
  versions,
  ...(same && { parts: before.parts }),
};
for (const part of parts) {
  const date = new Date().toISOString();
  const measured = await PARTS[part]({
    arch,
    threads,
    scale,
    log: (text) => console.log(`${part}: ${text}`),
  });
  results = { ...results, parts: { ...results.parts, [part]: { date, command, ...measured } } };
  await writeFile(out, `${JSON.stringify(results)}\n`);
}
