import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Results } from '../../lib/bench/results.js';
import { checkBuild, runCli, startCli } from '../cli/run-cli.js';
import { makeCell, makeMeasurement, makeResults } from './make-results.js';

// The command as users run it, on the smallest network. How fast it is decides no test.

const TINY = ['bench', '--arch', 'cifar-resnet20', '--batch', '1', '--seconds', '0.05', '--rounds', '1'];

let folder: string;
beforeAll(async () => {
  checkBuild();
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-bench-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);

const MEASUREMENT = {
  engine: 'resnet-native',
  version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  loadMs: positive,
  firstRunMs: positive,
  peakRssBytes: expect.toSatisfy((bytes: number) => bytes > 20e6 && bytes < 4e9),
  difference: 0,
  rounds: [expect.arrayContaining([positive])],
  summary: {
    imagesPerSecond: positive,
    spread: 0,
    p50: positive,
    p95: positive,
    p99: positive,
    gflops: positive,
    shareOfPeak: positive,
  },
};

const CELL = {
  arch: 'cifar-resnet20',
  dtype: 'float32',
  device: 'cpu',
  batch: 1,
  height: 32,
  width: 32,
  macs: 40_551_040,
};

const RESULTS = {
  format: 'resnet-native-bench',
  version: 1,
  date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  command: expect.stringMatching(/^resnet-native bench --arch cifar-resnet20 /),
  versions: { 'resnet-native': expect.any(String), node: process.version },
  machine: {
    cpu: expect.any(String),
    cores: positive,
    isa: expect.stringMatching(/^(amx|avx512|avx2|neon|scalar)$/),
    caches: expect.any(Object),
    memoryBytes: positive,
    os: expect.any(String),
  },
  peak: {
    threads: positive,
    gflops: { float32: positive, bfloat16: positive, int8: positive },
    bandwidth: positive,
  },
  settings: { threads: positive, seconds: 0.05, rounds: 1 },
  cells: [{ ...CELL, engines: [MEASUREMENT], skipped: [] }],
};

describe('a run', () => {
  test('prints the JSON and nothing else with --json', async () => {
    const { code, stdout, stderr } = await runCli(...TINY, '--json');
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^cifar-resnet20 float32 cpu 1×32×32: [\d.]+ images\/s\n$/),
    });
    expect(JSON.parse(stdout)).toEqual(RESULTS);
  });

  test('writes the same to --out, layers with --profile, and a trace', async () => {
    const [out, trace, plots] = ['out.json', 'trace.json', 'plots'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const { code, stdout } = await runCli(...TINY, '--out', out, '--profile', plots, '--trace', trace);
    expect(code).toBe(0);
    const [cell] = (JSON.parse(await readFile(out, 'utf8')) as Results).cells;
    expect(cell).toMatchObject(CELL);
    const layers = cell?.layers ?? [];
    expect(layers.reduce((sum, { macs }) => sum + macs, 0)).toBe(CELL.macs);
    expect(layers.find(({ name }) => name === 'fc')).toMatchObject({ op: 'linear', macs: 640, ms: positive });
    expect(stdout).toMatch(/^layer +operation +kernel +ms/m);
    expect(stdout).toMatch(/^layer1\.0\.relu .*%$/m);
    expect(await readdir(plots)).toEqual(['cifar-resnet20-float32-cpu-1x32.svg']);
    const { traceEvents } = JSON.parse(await readFile(trace, 'utf8'));
    expect(traceEvents).toHaveLength(layers.length + 1);
  });

  test('compares with an earlier file', async () => {
    const earlier = join(folder, 'earlier.json');
    const before = { ...makeCell(1, [makeMeasurement('resnet-native', 1e-3)]), ...CELL };
    await writeFile(earlier, JSON.stringify(makeResults([before])));
    const { stdout } = await runCli(...TINY, '--compare', earlier);
    const [, ours] = /^cifar-resnet20 .* ([\d.]+)×$/m.exec(stdout) ?? [];
    expect(Number(ours)).toBeGreaterThan(1000);
  });

  test('leaves out peers that are missing, and says why', async () => {
    const peers = ['--peers', 'openvino,torch', '--python', join(folder, 'no-python')];
    const { code, stdout } = await runCli(...TINY, ...peers);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Not measured: openvino: the process of openvino ended:\n.*ENOENT/);
    expect(stdout).toMatch(/Not measured: torch: torchvision has no such network/);
  });

  test('takes turns with sessions that have other options', async () => {
    vi.stubEnv('RESNET_NATIVE_HOME', await mkdtemp(join(folder, 'home-')));
    const running = runCli(...TINY, '--peers', 'autotune-quick,memory-low', '--json');
    vi.unstubAllEnvs();
    const { stdout } = await running;
    const [cell] = (JSON.parse(stdout) as Results).cells;
    const [own, quick, low] = cell?.engines ?? [];
    expect([own, quick, low].map((engine) => engine?.engine)).toEqual([
      'resnet-native',
      'autotune-quick',
      'memory-low',
    ]);
    expect(quick?.ratio).toBeGreaterThan(0);
    expect(low?.difference).toBeGreaterThan(0); // by the rounding of Winograd's algorithm, which it does without
  });

  test('leaves no temporary files, also when it is interrupted', async () => {
    // Of its own: other benchmarks may run on this machine.
    const temporary = await mkdtemp(join(folder, 'temporary-'));
    vi.stubEnv('TMPDIR', temporary);
    const { child, finished } = startCli([...TINY, '--seconds', '600']);
    vi.unstubAllEnvs();
    await vi.waitUntil(async () => (await readdir(temporary)).length > 0, { timeout: 30_000 });
    child.kill('SIGINT');
    expect(await finished).toMatchObject({ code: 130, stdout: '', stderr: 'Interrupted\n' });
    expect(await readdir(temporary)).toEqual([]);
  });
});

const installed = existsSync(
  fileURLToPath(new URL('../../bench/peers/node_modules/onnxruntime-node', import.meta.url)),
);

describe.skipIf(!installed)(
  `onnxruntime${installed ? '' : ' (skipped: not installed in bench/peers)'}`,
  () => {
    test('runs the same network to the same logits', async () => {
      const { code, stdout } = await runCli(...TINY, '--peers', 'onnxruntime', '--json');
      expect(code).toBe(0);
      const [cell] = (JSON.parse(stdout) as Results).cells;
      expect(cell?.engines[1]).toEqual({
        ...MEASUREMENT,
        engine: 'onnxruntime',
        difference: expect.toSatisfy((difference: number) => difference <= 1e-5),
        ratio: positive,
      });
    });
  },
);

test.each([
  [['--arch', 'resnet5O'], /did you mean "resnet50"/],
  [['--arch', ','], /at least one for archs/],
  [['--batch', '0'], /at least 1 for --batch/],
  [['--batch', '1,x'], /at least 1 for --batch/],
  [['--dtype', 'float31'], /one of .*"float32".* for dtype/],
  [['--device', 'gpu'], /for device/],
  [['--peers', 'tensorflow'], /for a peer but received "tensorflow"/],
  [['--seconds', 'x'], /a positive number for seconds/],
  [['--rounds', '0'], /at least 1 for --rounds/],
  [['--size', '5000'], /from 1 to 4096/],
  [['--compare', fileURLToPath(import.meta.url)], /no result of a benchmark/],
  [['--nonsense'], /unknown option/],
])('%j is wrong usage', async (args, message) => {
  const { code, stdout, stderr } = await runCli(...TINY, ...args);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

test.each([
  [['--out', 'no/such/folder/out.json'], /cannot be written/],
  [['--compare', 'no-such-file.json'], /cannot be read/],
  [['--dtype', 'bfloat16', '--device', 'reference'], /does not compute in bfloat16/],
])('%j fails', async (args, message) => {
  const { code, stderr } = await runCli(...TINY, ...args);
  expect(stderr).toMatch(message);
  expect(code).toBe(1);
});
