import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { readMetadata, readStateDict } from '../../lib/weights/read.js';
import { DIGITS_MODEL } from '../tasks/digits.js';
import { checkBuild, runCli } from './run-cli.js';

// `weights list | download | inspect | convert`, as users run it.

let folder: string;
beforeAll(() => {
  checkBuild();
  folder = mkdtempSync(join(tmpdir(), 'resnet-native-weights-cli-'));
});
afterEach(() => void vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('list has every entry, as text and as JSON', async () => {
  vi.stubEnv('RESNET_NATIVE_HOME', folder);
  const { stdout } = await runCli('weights', 'list');
  expect(stdout).toMatch(/^ResNet50_Weights\.IMAGENET1K_V2 +80\.86% top-1 +97\.8 MB$/m);
  const entries = JSON.parse((await runCli('weights', 'list', '--json')).stdout);
  expect(entries).toHaveLength(stdout.trimEnd().split('\n').length);
  expect(entries).toContainEqual({
    entry: 'ResNet18_Weights.IMAGENET1K_V1',
    url: 'https://download.pytorch.org/models/resnet18-f37072fd.pth',
    numParams: 11_689_512,
    accuracy: { top1: 69.758, top5: 89.078 },
    gflops: expect.any(Number),
    megabytes: expect.any(Number),
    recipe: expect.stringMatching(/^https:/),
    path: null,
  });
});

describe('download', () => {
  test('says what there is instead of an unknown entry', async () => {
    const { code, stdout, stderr } = await runCli('weights', 'download', 'ResNet50_Weights.IMAGENET1K_V3');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/did you mean "ResNet50_Weights.IMAGENET1K_V[12]"/);
  });

  test('prints where weights are that were fetched before', async () => {
    vi.stubEnv('RESNET_NATIVE_HOME', folder);
    const path = join(folder, 'hub', 'resnet18-f37072fd.pth');
    mkdirSync(join(folder, 'hub'), { recursive: true });
    writeFileSync(path, 'fetched before');
    const entry = 'ResNet18_Weights.IMAGENET1K_V1';
    expect(await runCli('weights', 'download', entry)).toEqual({ code: 0, stdout: `${path}\n`, stderr: '' });
    const { stdout } = await runCli('weights', 'download', entry, '--json');
    expect(JSON.parse(stdout)).toEqual({ entry, path });
    expect((await runCli('weights', 'list')).stdout).toMatch(/^ResNet18_Weights.*MB {2}here$/m);
  });
});

test('inspect shows tensors and metadata', async () => {
  const { stdout } = await runCli('weights', 'inspect', DIGITS_MODEL);
  expect(stdout).toMatch(/^conv1\.weight +float32 +\[16, 3, 3, 3\]$/m);
  const state = await readStateDict(DIGITS_MODEL);
  expect(stdout).toMatch(new RegExp(`^${state.size} tensors, [\\d.]+ MB; metadata: .*architecture`, 'm'));
  const { tensors, metadata } = JSON.parse(
    (await runCli('weights', 'inspect', DIGITS_MODEL, '--json')).stdout,
  );
  expect(tensors).toEqual([...state].map(([key, { dtype, shape }]) => ({ key, dtype, shape })));
  expect(metadata).toEqual({ ...(await readMetadata(DIGITS_MODEL)) });
});

describe('convert', () => {
  test('writes the same tensors and metadata', async () => {
    const to = join(folder, 'converted.safetensors');
    const { code, stdout } = await runCli('weights', 'convert', DIGITS_MODEL, '--to', to);
    const state = await readStateDict(DIGITS_MODEL);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${to}: ${state.size} tensors\n` });
    expect(await readStateDict(to)).toEqual(state);
    expect(await readMetadata(to)).toEqual(await readMetadata(DIGITS_MODEL));
  });

  test.each([
    [['models/README.md', '--to', 'x.safetensors'], 1, /\(WEIGHTS_FORMAT\)/],
    [['no-such-file.pth', '--to', 'x.safetensors'], 1, /\(FILE\)/],
    [[DIGITS_MODEL, '--to', 'x.pth'], 2, /--to must be a \.safetensors file/],
    [[DIGITS_MODEL], 2, /--to <file>/],
  ])('refuses %j', async (args, code, message) => {
    const finished = await runCli('weights', 'convert', ...args);
    expect(finished.stderr).toMatch(message);
    expect(finished.code).toBe(code);
  });
});
