import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveOnnxRuntime } from '../../lib/bench/peers.js';
import { serveTables } from '../../lib/bench/serve-report.js';
import type { LoadResult, ServeResults } from '../../lib/bench/serve-results.js';
import { checkBuild } from '../cli/run-cli.js';
import { machine } from './make-results.js';

const SCRIPT = fileURLToPath(new URL('../../bench/serve.mjs', import.meta.url));
const run = (...args: string[]) => promisify(execFile)(process.execPath, [SCRIPT, ...args]);

let folder: string;
beforeAll(async () => {
  checkBuild();
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-serve-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('every part runs, small, and parts that are not asked for stay', async () => {
  const out = join(folder, 'serve.json');
  const small = ['--arch', 'resnet18', '--threads', '1', '--scale', '0.01', '--out', out];
  await run('--parts', 'closed', ...small);
  const { stdout } = await run('--parts', 'open,overload,memory', ...small);
  expect(stdout).toMatch(/^open: 30% of /);
  const { parts, ...head } = JSON.parse(await readFile(out, 'utf8')) as ServeResults;
  expect(head).toMatchObject({ format: 'resnet-native-serve', arch: 'resnet18', threads: 1 });
  const engines = new Set(parts.closed?.cells.map(({ engine }) => engine));
  expect([...engines][0]).toBe('resnet-native');
  expect(engines.size).toBe(resolveOnnxRuntime() ? 2 : 1);
  expect(parts.closed?.cells.map(({ concurrency }) => concurrency).slice(0, 3)).toEqual([1, 8, 64]);
  const windows = parts.open?.cells.flatMap((cell) => cell.windows) ?? [];
  expect(windows).toHaveLength(2);
  for (const { statuses, resets } of [...windows, parts.overload as LoadResult]) {
    expect(resets).toBe(0);
    expect(Object.keys(statuses).filter((status) => !['200', '429'].includes(status))).toEqual([]);
  }
  expect(parts.memory?.requests).toBe(2000);
  expect(parts.memory?.rssBytes).toHaveLength(10);
  expect(serveTables({ ...head, parts })).toContain('resnet18');
}, 240_000);

test.each([
  ['--parts', 'nothing'],
  ['--threads', '0'],
  ['--scale', '0'],
])('%s %s is wrong usage', async (...args) => {
  await expect(run(...args)).rejects.toMatchObject({ code: 2, stderr: expect.stringMatching(/^Expected/) });
});

const load: LoadResult = {
  seconds: 60,
  perSecond: 95,
  statuses: { 200: 5700, 429: 11_400 },
  resets: 0,
  p50: 100,
  p99: 200,
  worst: 300,
  generatorCores: 0.1,
  serverCores: 1.8,
  otherCores: 0,
  rssBytes: 200e6,
  eventLoopP99Ms: 3,
  eventLoopWorstMs: 9,
};
const part = { date: '2026-01-02T03:04:05.678Z', command: 'node bench/serve.mjs' };

test('the tables', () => {
  const cell = { version: '1', rounds: [load], imagesPerSecond: 90, p50: 10, p99: 20, generatorCores: 0.1 };
  const window = { ...load, capacity: 100, sentLateP99Ms: 1, inProcessP99: 14 };
  const tables = serveTables({
    format: 'resnet-native-serve',
    version: 1,
    arch: 'resnet18',
    threads: 2,
    machine,
    versions: { node: 'v22.0.0' },
    parts: {
      closed: {
        ...part,
        seconds: 2,
        bare: [{ batch: 8, rounds: [100], imagesPerSecond: 100 }],
        cells: [
          { ...cell, engine: 'resnet-native', concurrency: 8, shareOfBare: 0.95, eventLoopP99Ms: 2 },
          { ...cell, engine: 'peer', concurrency: 8, shareOfBare: 0.5, eventLoopP99Ms: 99 },
        ],
      },
      open: {
        ...part,
        cells: [
          {
            share: 0.3,
            windows: [
              { ...window, rate: 30, computeMs: 7 },
              { ...window, rate: 33, computeMs: 9 },
            ],
            p99Times: { median: 3, pooled: 3.5 },
            inProcessP99Times: { median: 2, pooled: 2.5 },
          },
        ],
      },
      overload: { ...part, ...load, capacity: 100, healthProbes: 600, healthP99Ms: 12, healthWorstMs: 20 },
      memory: { ...part, requests: 200_000, seconds: 50, rssBytes: [100e6, 98e6], growth: -0.02 },
    },
  });
  expect(
    tables,
  ).toBe(`| clients | server | images/s | p50 | p99 | event loop p99 | generator | of bare session |
| --- | --- | --- | --- | --- | --- | --- | --- |
| 8 | resnet-native | 90.0 | 10.0 ms | 20.0 ms | 2.0 ms | 0.10 cores | 95% |
| 8 | peer | 90.0 | 10.0 ms | 20.0 ms | 99.0 ms | 0.10 cores | 50% |

|  | measured | goal |
| --- | --- | --- |
| throughput, of the 100.0 images/s of the bare session less what the generator takes | 95% | ≥ 85% |
| p99 at 30% load (Poisson, 30 to 33/s), in times of the 7 to 9 ms that one image takes: the median of 2 windows (all requests together); without a server | 3.0× (3.5×); 2.0× (2.5×) | ≤ 4.5× |
| goodput at 3× load for 60 s, of its peak (100.0/s) | 95% | ≥ 90% |
| answers: 200, 429, others; reset connections | 5700, 11400, 0; 0 | no others, no resets |
| health p99 meanwhile, of 600 | 12.0 ms | ≤ 50 ms |
| event loop p99 meanwhile | 3.0 ms | ≤ 5 ms |
| memory over 200000 small requests (4000/s; 100 to 98 MB) | −2.0% | ≤ +5% |

resnet18, one float32 image of 224×224 a request, in binary; 2 threads, and the generator of the load on the same cores. Imaginary 9000, 2 cores, avx512; 2026-01-02; node v22.0.0; \`node bench/serve.mjs\`.`);
});
