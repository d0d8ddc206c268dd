import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulatedCuda, WHY_NO_SIMULATION } from './simulated-cuda.js';

// The CUDA backend as the package opens it: missing, broken, and with simulated GPUs. A process for each, because the
// library is opened once.

const CHILD = fileURLToPath(new URL('children/cuda.mjs', import.meta.url));

async function run(scenario: string, env: NodeJS.ProcessEnv) {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, scenario], {
    env,
    timeout: 120_000,
  });
  return JSON.parse(stdout);
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-cuda-'));
});
afterAll(() => rm(folder, { recursive: true }));

const withLibrary = (path: string) => ({ ...process.env, RESNET_NATIVE_CUDA_LIBRARY: path });
const missing = (reason: RegExp) => [
  { id: 'cuda', name: '', available: false, isa: '', dtypes: [], reason: expect.stringMatching(reason) },
];

describe('a CUDA library that is not there or broken keeps nothing else from working', () => {
  test('none', async () => {
    const env = withLibrary(join(folder, 'nothing.so'));
    expect(await run('devices', env)).toEqual(
      missing(/library is not installed \(looked for .*nothing\.so\)/),
    );
    expect(await run('auto', env)).toEqual({
      device: 'cpu',
      reason: expect.stringMatching(/took the CPU: .*not installed/),
      contexts: 1,
    });
  });

  test('a file that is no library', async () => {
    const path = join(folder, 'broken.so');
    await writeFile(path, 'no library');
    expect(await run('devices', withLibrary(path))).toEqual(missing(/cannot be loaded: .*broken\.so/));
    expect(await run('auto', withLibrary(path))).toMatchObject({ device: 'cpu' });
  });

  test('another library', async () => {
    const path = fileURLToPath(new URL('../../build/Release/resnet_native.node', import.meta.url));
    expect(await run('devices', withLibrary(path))).toEqual(missing(/is not the CUDA backend's library/));
  });
});

describe.skipIf(WHY_NO_SIMULATION !== '')(`with simulated GPUs${WHY_NO_SIMULATION}`, () => {
  test('one of another version is refused', async () => {
    const found = await run('devices', simulatedCuda({ ABI_OFFSET: 1 }));
    expect(found).toEqual(missing(/another version of resnet-native/));
  });

  test('every GPU is listed, and auto takes the first', async () => {
    const found = await run('devices', simulatedCuda({ DEVICES: 2 }));
    expect(found).toMatchObject([
      { id: 'cuda:0', name: 'Simulated GPU', available: true, isa: '9.0', reason: '' },
      { id: 'cuda:1', available: true },
    ]);
    expect(found[0]).not.toHaveProperty('lost');
    expect(await run('auto', simulatedCuda())).toEqual({
      device: 'cuda:0',
      reason: 'device "auto" takes CUDA where it is available',
      contexts: 2,
    });
  });

  test('the library is not opened for the CPU', async () => {
    expect(await run('the CPU without a look at CUDA', simulatedCuda())).toBe(false);
  });

  test('results are those of the CPU, on one GPU and on two', async () => {
    expect(await run('two GPUs', simulatedCuda({ DEVICES: 2 }))).toEqual({
      device: 'cuda:0,cuda:1',
      contexts: 4,
    });
    for (const difference of await run('same results', simulatedCuda({ DEVICES: 2 }))) {
      expect(difference).toBeLessThan(1e-4);
    }
  });

  test('a lost device refuses everything at once, and the CPU goes on', async () => {
    expect(await run('lost', simulatedCuda({ LAUNCHES: 100 }))).toEqual({
      first: 'DEVICE_LOST',
      again: 'DEVICE_LOST',
      compiled: 'DEVICE_LOST',
      device: 'cpu',
      reason: expect.stringMatching(/illegal memory access/),
    });
  });

  test('a classifier that is to decode on the device says that nothing there can', async () => {
    expect(await run('no decoder', simulatedCuda({ NO_DECODER: 1 }))).toEqual({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringMatching(/no decoder/),
    });
  });

  test('compile says how much memory is missing', async () => {
    expect(await run('no memory', simulatedCuda({ MEMORY: 2_000_000 }))).toEqual({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(/needs \d+ MiB of device memory, but \d+ .* are free on Simulated GPU/),
    });
  });

  test('a hosted session outlives the devices it loses', async () => {
    const { same, lost, other, reasons } = await run('hosted', simulatedCuda({ LAUNCHES: 100 }));
    expect({ lost, other, reasons }).toEqual({ lost: 3, other: 0, reasons: Array(3).fill('DEVICE_LOST') });
    expect(same).toBeGreaterThanOrEqual(3);
  });

  test('a hundred sessions, one after the other', async () => {
    expect(await run('cycles', simulatedCuda())).toBe('done');
  });
});
