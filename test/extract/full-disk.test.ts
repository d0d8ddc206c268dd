import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { extractFeatures } from '../../lib/extract/extract-features.js';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { DIGITS_MODEL, HELD_OUT } from '../tasks/digits.js';
import { allRows, readManifest, temporaryFolder } from './folders.js';

vi.mock('node:fs/promises', { spy: true });

const base = temporaryFolder();
const images = HELD_OUT.slice(0, 20);
// A part of 4 images takes 4 × 64 KB.
const options = { outputs: ['layer1'], shardSize: 4, batch: 2 };
let model: Model;

beforeAll(async () => {
  model = await loadModel(DIGITS_MODEL);
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function expectToGoOnAfterwards(out: string, stopped: Promise<unknown>, makeRoom: () => void) {
  await expect(stopped).rejects.toMatchObject({
    code: 'FILE',
    message: expect.stringMatching(
      /no space left on the device: the parts in manifest\.json are whole; make room/,
    ),
  });
  const finished = readManifest(out).parts.length;
  expect(finished).toBeGreaterThan(0);
  expect(finished).toBeLessThan(5);
  makeRoom();
  const summary = await extractFeatures(model, images, {
    ...options,
    outputs: ['layer1'],
    out,
    resume: true,
  });
  expect(summary).toMatchObject({ skipped: 4 * finished, parts: 5 });
  expect(allRows(out, 'layer1').map(({ key }) => key)).toEqual(images);
}

test('a disk that is full stops the run, and what is finished is kept', async () => {
  const out = join(base, 'injected');
  let room = 900_000;
  const open = vi.mocked(fs.open).getMockImplementation() ?? fs.open;
  const actual = (await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises')).open;
  expect(open).toBeDefined();
  vi.mocked(fs.open).mockImplementation(async (...args) => {
    const file = await actual(...args);
    const write = file.write.bind(file) as (...args: unknown[]) => Promise<unknown>;
    const limited = async (bytes: Uint8Array, ...rest: unknown[]) => {
      room -= bytes.length;
      if (room < 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return write(bytes, ...rest);
    };
    return Object.assign(file, { write: limited });
  });
  await expectToGoOnAfterwards(out, extractFeatures(model, images, { ...options, out }), () => {
    room = Number.POSITIVE_INFINITY;
  });
});

test('so does a real one', async (context) => {
  const out = join(base, 'tmpfs');
  mkdirSync(out);
  const mount = (...args: string[]) => spawnSync('mount', ['-t', 'tmpfs', '-o', ...args, 'tmpfs', out]);
  const { status, stderr } = mount('size=900k');
  if (status !== 0) return context.skip(`a tmpfs cannot be mounted: ${stderr}`);
  try {
    await expectToGoOnAfterwards(out, extractFeatures(model, images, { ...options, out }), () => {
      expect(mount('remount,size=8m').status).toBe(0);
    });
  } finally {
    spawnSync('umount', [out]);
  }
});
