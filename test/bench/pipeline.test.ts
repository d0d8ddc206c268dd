import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveOnnxRuntime } from '../../lib/bench/peers.js';
import type { PipelineResults } from '../../lib/bench/pipeline-results.js';
import { checkBuild } from '../cli/run-cli.js';

const SCRIPT = fileURLToPath(new URL('../../bench/pipeline.mjs', import.meta.url));
const run = (...args: string[]) => promisify(execFile)(process.execPath, [SCRIPT, ...args]);

let folder: string;
beforeAll(async () => {
  checkBuild();
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-pipeline-'));
});
afterAll(() => rm(folder, { recursive: true }));

const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);
const delay = expect.toSatisfy((value: unknown) => typeof value === 'number' && value >= 0);

test('files go through our engine, and through the peer where it is installed', async () => {
  const out = join(folder, 'pipeline.json');
  const tiny = ['--arch', 'cifar-resnet20', '--images', '3', '--batch', '2', '--rounds', '1'];
  const { stdout, stderr } = await run(...tiny, '--out', out);
  expect(stdout).toMatch(/^cifar-resnet20: resnet-native: [\d.]+ images\/s, event loop p99 /);
  const results = JSON.parse(await readFile(out, 'utf8')) as PipelineResults;
  expect(results).toMatchObject({ format: 'resnet-native-pipeline', version: 1, threads: positive });

  const engines = ['resnet-native'];
  if (resolveOnnxRuntime()) engines.push('sharp + onnxruntime-node');
  else expect(stderr).toMatch(/Only resnet-native is measured/);
  const peer = engines.length > 1 ? { ratio: positive, sameTop1: delay } : {};
  const measured = engines.map((engine) => ({
    engine,
    version: expect.any(String),
    loadAndFirstMs: positive,
    peakRssBytes: positive,
    rounds: [{ seconds: positive, eventLoopP99Ms: delay, eventLoopWorstMs: delay }],
    imagesPerSecond: positive,
    eventLoopP99Ms: delay,
    eventLoopWorstMs: delay,
  }));
  expect(results.cells).toEqual([
    { arch: 'cifar-resnet20', images: 3, batch: 2, engines: measured, ...peer },
  ]);
});

test.each([
  ['--images', '0'],
  ['--batch', 'x'],
])('%s %s is wrong usage', async (...args) => {
  await expect(run(...args)).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/a positive integer/),
  });
});
