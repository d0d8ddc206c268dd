import { access, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClassifier, loadModel } from '../../lib/index.js';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { checkBuild, runCli } from './run-cli.js';

const CALIBRATION = 'models/digits-heldout';
/** Percentage points that int8 may lose on the held-out digits. */
const GATE = 0.3;

let folder: string;
beforeAll(async () => {
  checkBuild();
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-quantize-'));
});
afterAll(() => rm(folder, { recursive: true }));

const out = (name: string) => join(folder, name);

/** Per cent of the held-out digits that a model names right. */
async function accuracy(path: string, dtype: 'float32' | 'int8'): Promise<number> {
  const classifier = await createClassifier(await loadModel(path), { device: 'cpu', dtype });
  const results = await classifier.classify(HELD_OUT, { topK: 1 });
  await classifier.close();
  const right = results.filter(([best], i) => best?.label === digitOf(HELD_OUT[i] as string));
  return (100 * right.length) / HELD_OUT.length;
}

test('the shipped model in int8 is as good as in float32', async ({ annotate }) => {
  const file = out('digits.safetensors');
  const { code, stdout, stderr } = await runCli(
    'quantize',
    '--calibration',
    CALIBRATION,
    '--images',
    '64',
    '--out',
    file,
  );
  expect(stderr).toContain('using the shipped model');
  expect(stdout).toBe(`${file}: int8, calibrated with 64 images\n`);
  expect(code).toBe(0);
  const [exact, rounded] = [await accuracy(DIGITS_MODEL, 'float32'), await accuracy(file, 'int8')];
  await annotate(`float32 ${exact.toFixed(2)}%, int8 ${rounded.toFixed(2)}%`);
  expect(exact).toBeGreaterThan(95);
  expect(rounded).toBeGreaterThanOrEqual(exact - GATE);
});

test('--report tells the noise of each layer', async () => {
  const args = [
    'quantize',
    '--calibration',
    CALIBRATION,
    '--images',
    '8',
    '--out',
    out('report.safetensors'),
    '--report',
  ];
  const { stdout } = await runCli(...args, '--json');
  const { images, layers } = JSON.parse(stdout) as {
    images: number;
    layers: { name: string; decibels: number }[];
  };
  expect(images).toBe(8);
  expect(layers.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['relu', 'layer1.0.relu', 'avgpool', 'fc']),
  );
  for (const { name, decibels } of layers) expect(decibels, name).toBeGreaterThan(10);

  const { stdout: table } = await runCli(...args);
  expect(table).toMatch(/^layer +signal to noise$/m);
  expect(table).toMatch(/^layer1\.0\.relu +\d+\.\d dB$/m);
});

describe('calibration images that cannot be read', () => {
  /** A folder with the first `good` held-out digits, and `damaged` files that are no pictures. */
  async function pictures(good: number, damaged: number): Promise<string> {
    const made = await mkdtemp(join(folder, 'pictures-'));
    for (const path of HELD_OUT.slice(0, good)) await copyFile(path, join(made, basename(path)));
    for (let i = 0; i < damaged; i++) await writeFile(join(made, `0000-damaged-${i}.png`), 'no picture');
    return made;
  }

  test('are left out, with a warning', async () => {
    const quantize = async (name: string, damaged: number) => {
      const calibration = await pictures(9, damaged);
      const finished = await runCli('quantize', '--calibration', calibration, '--out', out(name), '--json');
      return { ...finished, file: await readFile(out(name)) };
    };
    const [whole, spoilt] = [await quantize('whole.safetensors', 0), await quantize('spoilt.safetensors', 2)];
    expect(spoilt.code).toBe(0);
    expect(JSON.parse(spoilt.stdout)).toMatchObject({ images: 9, errors: 2 });
    expect(spoilt.stderr).toMatch(
      /warning: 2 calibration images were left out, which cannot be read; the last: .*0000-damaged-1\.png/,
    );
    expect(JSON.parse(whole.stdout)).toMatchObject({ images: 9, errors: 0 });
    expect(whole.stderr).not.toContain('warning');
    expect(spoilt.file.equals(whole.file)).toBe(true);
  });

  test('are too many when they are more than half', async () => {
    const args = ['--calibration', await pictures(2, 3), '--out', out('bad.safetensors')];
    const { code, stderr } = await runCli('quantize', ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /3 of 5 calibration images could not be read, .*: give pictures like .*0000-damaged-2/,
    );
    await expect(access(out('bad.safetensors'))).rejects.toThrow();
  });
});

describe('refuses', () => {
  test.each([
    [['--calibration', CALIBRATION], 2, /--out/],
    [['--out', 'x.safetensors'], 2, /--calibration/],
    [['--calibration', CALIBRATION, '--out', 'x.onnx'], 2, /must be a \.safetensors file/],
    [['--calibration', 'no/such/folder', '--out', '/tmp/x.safetensors'], 1, /no\/such\/folder/],
    [['--calibration', 'lib', '--out', '/tmp/x.safetensors'], 2, /at least one image/],
    [['--calibration', CALIBRATION, '--out', '/no/such/folder/x.safetensors'], 1, /cannot be written/],
    [['--calibration', CALIBRATION, '--out', '/tmp/x.safetensors', '--method', 'best'], 2, /method/],
  ])('%j', async (args, code, message) => {
    const finished = await runCli('quantize', ...args);
    expect(finished.stderr).toMatch(message);
    expect(finished.code).toBe(code);
  });
});
