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

test('files go through our engine and those that are installed; the others are named', async () => {
  const out = join(folder, 'extract.json');
  const tiny = ['--arch', 'cifar-resnet20', '--images', '3', '--batch', '2', '--rounds', '1'];
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, ...tiny, '--out', out]);
  expect(stdout).toMatch(/^cifar-resnet20 float32: decoding alone [\d.]+, computing alone [\d.]+ images\/s/);
  const { cells, ...rest } = JSON.parse(await readFile(out, 'utf8')) as ExtractResults;
  expect(rest).toMatchObject({ format: 'resnet-native-extract', images: 3, bytes: positive });
  const [cell] = cells;
  expect(cell).toMatchObject({ arch: 'cifar-resnet20', alone: { decode: positive, compute: positive } });

  const installed = resolveOnnxRuntime() ? ['sharp + onnxruntime-node'] : [];
  expect(cell?.engines.map(({ engine }) => engine)).toEqual(['resnet-native', ...installed]);
  const missing = ['torch.compile + DataLoader', 'sharp + onnxruntime-node', 'transformers.js'];
  expect(cell?.skipped.map(({ engine }) => engine)).toEqual(
    missing.filter((name) => !installed.includes(name)),
  );
  // Another resize, and the same network: near, and not equal.
  for (const { difference } of cell?.engines.slice(1) ?? []) expect(difference).toBeLessThan(0.5);
});
