import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { extractFeatures, loadModel } from '../../lib/index.js';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { checkBuild, runCli } from './run-cli.js';

const CALIBRATION = 'models/digits-heldout';
const WEIGHTS = ['--weights', DIGITS_MODEL];
let folder: string;
let images: string;

beforeAll(() => {
  checkBuild();
  folder = mkdtempSync(join(tmpdir(), 'resnet-native-cli-extract-'));
  images = join(folder, 'images');
  mkdirSync(images);
  for (const file of HELD_OUT.slice(0, 6)) copyFileSync(file, join(images, basename(file)));
  writeFileSync(join(images, 'bad.png'), 'no image');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('writes the files that its help names, and says what it did', async () => {
  const out = join(folder, 'out');
  const { code, stdout, stderr } = await runCli('extract', images, '--out', out, ...WEIGHTS, '--profile');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^7 images in .* s, .* images\/s, into .*out; 1 could not be read: the index says why\n/,
  );
  expect(stdout).toMatch(/\ncompute +\d+\.\d% of the time +\d+\.\d\d ms an image/);
  expect(readdirSync(out).sort()).toEqual([
    'manifest.json',
    'part-00000.avgpool.npy',
    'part-00000.index.jsonl',
  ]);
});

test('--json prints JSON lines, and --top puts classes into the index', async () => {
  const out = join(folder, 'json');
  const options = ['--format', 'parquet', '--top', '1', '--shard-size', '4', '--json'];
  const { stdout } = await runCli('extract', images, '--out', out, ...WEIGHTS, ...options);
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events[0]).toMatchObject({ event: 'progress', boundedBy: expect.any(String) });
  expect(events.at(-1)).toMatchObject({ event: 'done', images: 7, errors: 1, parts: 2 });
  const lines = readFileSync(join(out, 'part-00000.index.jsonl'), 'utf8').trimEnd().split('\n');
  for (const { key, top } of lines.map((line) => JSON.parse(line))) expect(top[0].label).toBe(digitOf(key));
});

test('a second run is refused without --resume, and other features with it', async () => {
  const args = ['extract', images, '--out', join(folder, 'twice'), ...WEIGHTS];
  expect((await runCli(...args)).code).toBe(0);
  const again = await runCli(...args);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('holds features already');
  expect((await runCli(...args, '--resume')).stdout).toContain('0 images in');
  const others = await runCli(...args, '--resume', '--outputs', 'layer1');
  expect(others.code).toBe(2);
  expect(others.stderr).toContain('outputs is ["avgpool"] there and ["layer1"] here');
});

test('of a network that ends early the features are those of the whole one', async () => {
  const out = join(folder, 'early');
  await extractFeatures(await loadModel(DIGITS_MODEL), images, { out, outputs: ['layer1'] });
  const again = await runCli('extract', images, '--out', out, ...WEIGHTS, '--outputs', 'layer1', '--resume');
  expect(again.stderr).toBe('');
  expect(again.stdout).toContain('0 images in');
});

test('too many bad images are a failure; a URL and an unknown format are wrong usage', async () => {
  const out = ['--out', join(folder, 'failed'), ...WEIGHTS];
  const bad = await runCli('extract', images, ...out, '--max-errors', '0');
  expect(bad.code).toBe(1);
  expect(bad.stderr).toMatch(/more than maxErrors, 0; .*\(IMAGE_DECODE\)/);
  const url = await runCli('extract', 'https://example.com/a.jpg', ...out);
  expect(url.code).toBe(2);
  expect(url.stderr).toContain('not fetched');
  const format = await runCli('extract', images, ...out, '--format', 'parkett');
  expect(format.code).toBe(2);
  expect(format.stderr).toContain('one of "npy", "parquet", "safetensors"');
});

test('--dtype int8 takes --calibration or weights that were quantised, and says so without', async () => {
  const [out, before] = [join(folder, 'int8'), join(folder, 'int8-before')];
  const int8 = [...WEIGHTS, '--dtype', 'int8'];
  const without = await runCli('extract', images, '--out', out, ...int8);
  expect(without.code).toBe(2);
  expect(without.stderr).toMatch(/--calibration\), or quantise the model once/);
  const needless = await runCli('extract', images, '--out', out, ...WEIGHTS, '--calibration', CALIBRATION);
  expect(needless.code).toBe(2);
  expect(needless.stderr).toContain('--calibration goes with --dtype int8');
  const warned = await runCli('extract', images, '--out', `${out}-warned`, ...int8, '--calibration', images);
  expect(warned.code).toBe(0);
  expect(warned.stderr).toMatch(/warning: 1 calibration image was left out, .*bad\.png/);
  const bad = await runCli(
    'extract',
    images,
    '--out',
    out,
    ...int8,
    '--calibration',
    join(images, 'bad.png'),
  );
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain('1 of 1 calibration images could not be read');

  const calibrated = await runCli('extract', images, '--out', out, ...int8, '--calibration', CALIBRATION);
  expect(calibrated.stderr).toBe('');
  const file = join(folder, 'int8.safetensors');
  await runCli('quantize', '--calibration', CALIBRATION, '--out', file, ...WEIGHTS);
  await runCli('extract', images, '--out', before, '--weights', file, '--dtype', 'int8');
  const rows = (of: string) => readFileSync(join(of, 'part-00000.avgpool.npy'));
  expect(rows(out)).toEqual(rows(before));
});
