import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPeer, ownEngine, whyNotComparable } from '../../lib/bench/peers.js';
import { makeCell } from './make-results.js';

let folder: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'resnet-native-peers-')));
});
afterAll(() => rm(folder, { recursive: true }));

describe('findPeer', () => {
  test('says how to get onnxruntime-node where it is missing', () => {
    expect(findPeer('onnxruntime', undefined, [folder, join(folder, 'none')])).toEqual({
      engine: 'onnxruntime',
      reason: expect.stringMatching(/not installed: npm install --ignore-scripts/),
    });
  });

  test('finds onnxruntime-node in the first folder that has it', async () => {
    const installed = join(folder, 'project/node_modules/onnxruntime-node');
    await mkdir(installed, { recursive: true });
    await writeFile(join(installed, 'index.js'), '');
    const found = findPeer('onnxruntime', undefined, [folder, join(folder, 'project')]);
    expect(found).toMatchObject({
      file: process.execPath,
      args: [expect.any(String), join(installed, 'index.js')],
    });
  });

  test.each([
    ['autotune-quick', { autotune: 'quick' }],
    ['autotune-full', { autotune: 'full' }],
    ['memory-low', { memory: 'low' }],
  ] as const)('%s is this package', (name, options) => {
    const { file, args } = ownEngine();
    expect(findPeer(name, undefined)).toEqual({ engine: name, file, args, options });
  });

  test.each(['openvino', 'torch'] as const)('%s needs a Python', (name) => {
    expect(findPeer(name, undefined)).toEqual({ engine: name, reason: expect.stringMatching(/--python/) });
    expect(findPeer(name, 'python3')).toMatchObject({
      file: 'python3',
      args: [expect.stringMatching(/peer\.py$/), name],
    });
  });
});

describe('whyNotComparable', () => {
  const cell = makeCell(1, []);

  test.each([
    ['onnxruntime', {}, undefined],
    ['openvino', { dtype: 'bfloat16' }, undefined],
    ['torch', { device: 'reference' }, undefined],
    ['onnxruntime', { dtype: 'bfloat16' }, /float32 and int8 only/],
    ['openvino', { dtype: 'int8' }, undefined],
    ['torch', { dtype: 'int8' }, /float32 and bfloat16 only/],
    ['onnxruntime', { device: 'cuda:0' }, /on the CPU only/],
    ['torch', { arch: 'cifar-resnet20' }, /torchvision has no such network/],
  ])('%s and %j', (name, difference, reason) => {
    const why = whyNotComparable(name, { ...cell, ...difference });
    if (reason) expect(why).toMatch(reason);
    else expect(why).toBeUndefined();
  });
});
