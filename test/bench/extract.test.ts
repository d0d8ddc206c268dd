import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ExtractResults } from '../../lib/bench/extract-results.js';
import { resolveOnnxRuntime } from '../../lib/bench/peers.js';
import { checkBuild } from '../cli/run-cli.js';

const SCRIPT = fileURLToPath(new URL('../../bench/extract/run.mjs', import.meta.url));

let folder: string;
beforeAll(async () => {
  checkBuild();
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-extract-bench-'));
});
afterAll(() => rm(folder, { recursive: true }));

const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);

const ONNXRUNTIME = 'sharp + onnxruntime-node';

async function run(...args: readonly string[]): Promise<{ stdout: string; results: ExtractResults }> {
  const out = join(folder, 'extract.json');
  const tiny = ['--arch', 'cifar-resnet20', '--images', '3', '--batch', '2', '--rounds', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, ...tiny, ...args, '--out', out]);
  return { stdout, results: JSON.parse(await readFile(out, 'utf8')) };
}

test('files go through our engine and those that are installed; the others are named', async () => {
  const { stdout, results } = await run();
  expect(stdout).toMatch(/^cifar-resnet20 float32: decoding alone [\d.]+, computing alone [\d.]+ images\/s/);
  const { cells, ...rest } = results;
  expect(rest).toMatchObject({ format: 'resnet-native-extract', images: 3, bytes: positive });
  const [cell] = cells;
  expect(cell).toMatchObject({ arch: 'cifar-resnet20', alone: { decode: positive, compute: positive } });

  const installed = resolveOnnxRuntime() ? [ONNXRUNTIME] : [];
  expect(cell?.engines.map(({ engine }) => engine)).toEqual(['resnet-native', ...installed]);
  const missing = ['torch.compile + DataLoader (workers: 2)', ONNXRUNTIME, 'transformers.js'];
  expect(cell?.skipped.map(({ engine }) => engine)).toEqual(
    missing.filter((name) => !installed.includes(name)),
  );
  // Another resize, and the same network: near, and not equal.
  for (const { difference } of cell?.engines.slice(1) ?? []) expect(difference).toBeLessThan(0.5);
});

test('int8 is beside the float32 of peers, and their int8 needs Python', async () => {
  const { results } = await run('--dtype', 'int8', '--engines', `resnet-native,${ONNXRUNTIME}`);
  const [cell] = results.cells;
  const installed = resolveOnnxRuntime() !== undefined;
  expect(cell?.engines.map(({ engine, dtype }) => [engine, dtype])).toEqual([
    ['resnet-native', 'int8'],
    ...(installed ? [[ONNXRUNTIME, 'float32']] : []),
  ]);
  expect(cell?.skipped).toMatchObject([
    { engine: ONNXRUNTIME, reason: expect.stringMatching(installed ? /point --python/ : /npm install/) },
  ]);
  for (const { difference } of cell?.engines.slice(1) ?? []) expect(difference).toBeLessThan(0.5);
});
