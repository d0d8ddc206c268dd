import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resnet18 } from '../../lib/models/builders.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { checkBuild, runCli, startCli } from './run-cli.js';

const FILES = HELD_OUT.slice(0, 3);
const [FIRST] = FILES as [string];
const NOT_AN_IMAGE = DIGITS_MODEL;
let folder: string;

beforeAll(() => {
  checkBuild();
  folder = mkdtempSync(join(tmpdir(), 'resnet-native-cli-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const jsonLines = (text: string) => {
  expect(text).toMatch(/\n$/);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
};

describe('help and version', () => {
  test('name the commands and the exit codes', async () => {
    const { code, stdout, stderr } = await runCli('--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/classify .*\n.*devices/s);
    expect(stdout).toContain('Exit codes');
    expect(stderr).toBe('');
  });

  test.each(['classify', 'devices', 'quantize', 'extract', 'bench'])(
    '%s has its own, with its options',
    async (command) => {
      const { code, stdout } = await runCli(command, '--help');
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: resnet-native ${command}`);
      expect(stdout).toContain('--json');
    },
  );

  test('classify has examples and all options that commands with a model share', async () => {
    const { stdout } = await runCli('classify', '--help');
    expect(stdout).toContain('Examples:');
    const options = [
      'arch',
      'weights',
      'num-classes',
      'labels',
      'device',
      'dtype',
      'threads',
      'resize',
      'crop',
      'top',
    ];
    for (const option of options) expect(stdout).toContain(`--${option} <`);
  });

  test('the version is the package’s', async () => {
    expect((await runCli('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('classify', () => {
  test('--json gives one line a file and nothing else on standard output', async () => {
    const { code, stdout, stderr } = await runCli('classify', ...FILES, '--json', '--top', '3');
    expect(code).toBe(0);
    const lines = jsonLines(stdout);
    expect(lines.map(({ file }) => file)).toEqual(FILES);
    for (const { file, results } of lines) {
      expect(results).toHaveLength(3);
      expect(Object.keys(results[0])).toEqual(['index', 'label', 'probability']);
      expect(results[0]).toMatchObject({ index: Number(digitOf(file)), label: digitOf(file) });
      expect(results[0].probability).toBeGreaterThan(results[1].probability);
    }
    expect(stderr).toContain('shipped model');
  });

  test('the table has file, label and probability in columns, five classes by default', async () => {
    const { code, stdout } = await runCli('classify', FIRST, '--weights', DIGITS_MODEL);
    const lines = stdout.trimEnd().split('\n');
    expect(code).toBe(0);
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(new RegExp(`${basename(FIRST)}  ${digitOf(FIRST)}  +\\d+\\.\\d%$`));
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(stdout).not.toContain('\x1b');
  });

  test('says nothing of the shipped model when weights are named', async () => {
    expect((await runCli('classify', FIRST, '--weights', DIGITS_MODEL)).stderr).toBe('');
  });

  test('reports what is no image in its place, goes on, and ends with 1', async () => {
    const url = 'https://example.com/cat.jpg';
    const files = [FIRST, NOT_AN_IMAGE, join(folder, 'absent.png'), url, folder, ...HELD_OUT.slice(1, 3)];
    const { code, stdout, stderr } = await runCli('classify', ...files, '--json', '--top', '1');
    expect(code).toBe(1);
    const lines = jsonLines(stdout);
    expect(lines.map(({ file }) => file)).toEqual(files);
    expect(lines.map(({ results, error }) => results?.[0].label ?? error.code)).toEqual([
      digitOf(FIRST),
      'IMAGE_DECODE',
      'FILE',
      'INVALID_ARGUMENT',
      'FILE',
      ...HELD_OUT.slice(1, 3).map(digitOf),
    ]);
    expect(lines[3].error.message).toContain('not fetched');
    expect(Object.keys(lines[1].error)).toEqual(['code', 'message']);
    expect(stderr).toContain('4 of 7 files could not be read');
  });

  test('so does the table', async () => {
    const { code, stdout } = await runCli('classify', NOT_AN_IMAGE, FIRST, '--top', '1');
    expect(code).toBe(1);
    expect(stdout.split('\n')[0]).toMatch(/error: .*digits-resnet20/);
    expect(stdout.split('\n')[1]).toContain(basename(FIRST));
  });

  test('control characters in a file name do not reach the terminal', async () => {
    const { stdout } = await runCli('classify', `${folder}/\x1b[2Jabsent.png`);
    expect(stdout).toContain('absent.png');
    expect(stdout).not.toContain('\x1b');
  });

  test('--labels takes lines or JSON; --crop and --resize change the input', async () => {
    const names = [...'abcdefghij'];
    const [lines, json] = [join(folder, 'labels.txt'), join(folder, 'labels.json')];
    writeFileSync(lines, `${names.join('\r\n')}\n`);
    writeFileSync(json, JSON.stringify(names));
    const run = async (...args: string[]) => {
      const { stdout } = await runCli('classify', FIRST, '--json', '--top', '1', ...args);
      return jsonLines(stdout)[0].results[0];
    };
    const expected = names[Number(digitOf(FIRST))];
    expect((await run('--labels', lines)).label).toBe(expected);
    expect((await run('--labels', json)).label).toBe(expected);
    const usual = await run();
    expect((await run('--resize', '32', '--crop', '32')).probability).toBe(usual.probability);
    expect((await run('--resize', '40', '--crop', '36')).probability).not.toBe(usual.probability);
  });

  test('--device, --dtype and --threads reach compile', async () => {
    const options = ['--device', 'reference', '--dtype', 'float32', '--threads', '1'];
    const { code, stdout } = await runCli('classify', FIRST, '--json', ...options);
    expect(code).toBe(0);
    expect(jsonLines(stdout)[0].results[0].label).toBe(digitOf(FIRST));
  });

  test('--arch builds what a file without metadata is of, and loads it strictly', async () => {
    const file = join(folder, 'three-classes.safetensors');
    const model = await resnet18({ numClasses: 3 });
    await saveSafetensors(file, model.stateDict());
    const weights = ['--arch', 'resnet18', '--weights', file];
    const good = await runCli('classify', FIRST, '--json', ...weights, '--num-classes', '3');
    expect(good.code).toBe(0);
    const { results } = jsonLines(good.stdout)[0];
    expect(results.map(({ label }: { label: null }) => label)).toEqual([null, null, null]);
    expect((await runCli('classify', FIRST, ...weights, '--num-classes', '3')).stdout).toMatch(
      /class \d {2}/,
    );

    const mismatch = await runCli('classify', FIRST, ...weights);
    expect(mismatch.code).toBe(1);
    expect(mismatch.stderr).toContain('fc.weight: expected [1000, 512], the file has [3, 512]');
    expect(mismatch.stderr).toContain('STATE_DICT_MISMATCH');
  });
});

describe('devices', () => {
  test('lists what there is, and why one is missing', async () => {
    const { code, stdout } = await runCli('devices');
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ cpu .*float32/);
    expect(stdout).toMatch(/✓ reference/);
  });

  test('--json is one JSON document', async () => {
    const { code, stdout } = await runCli('devices', '--json');
    expect(code).toBe(0);
    const found = JSON.parse(stdout) as { id: string; reason: string; available: boolean }[];
    expect(found.find(({ id }) => id === 'cpu')).toMatchObject({ available: true });
    for (const { available, reason } of found) if (!available) expect(reason).not.toBe('');
  });
});

describe('wrong usage ends with 2 and says what was meant', () => {
  const cases: [string, string[], RegExp][] = [
    ['no command', [], /Usage: resnet-native/],
    ['an unknown command', ['clasify', 'x.png'], /unknown command 'clasify'\n\(Did you mean classify\?\)/],
    ['no file', ['classify'], /missing required argument 'file'/],
    [
      'an unknown option',
      ['classify', 'x.png', '--jsn'],
      /unknown option '--jsn'\n\(Did you mean --json\?\)/,
    ],
    ['an option without its value', ['classify', 'x.png', '--top'], /argument missing/],
    ['a bad number', ['classify', 'x.png', '--top', 'many'], /an integer of at least 1 for --top .*"many"/],
    ['zero', ['classify', 'x.png', '--top', '0'], /at least 1/],
    ['a fraction', ['classify', 'x.png', '--threads', '1.5'], /at least 1 for --threads/],
    ['an unknown device', ['classify', FIRST, '--device', 'cpuu'], /did you mean "cpu"/],
    ['an unknown dtype', ['classify', FIRST, '--dtype', 'flot32'], /did you mean "float32"/],
    ['an unknown arch', ['classify', 'x', '--arch', 'resnet51', '--weights', 'f'], /did you mean "resnet50"/],
    ['arch alone', ['classify', 'x', '--arch', 'resnet50'], /needs --weights.*IMAGENET1K_V1, IMAGENET1K_V2/],
    ['classes alone', ['classify', 'x', '--num-classes', '5'], /goes with --arch/],
    ['an entry alone', ['classify', 'x', '--weights', 'IMAGENET1K_V2'], /needs --arch/],
    [
      'an entry that is not there',
      ['classify', 'x', '--arch', 'resnet18', '--weights', 'IMAGENET1K_V2'],
      /did you mean "IMAGENET1K_V1"/,
    ],
    [
      'a full name that is not there',
      ['classify', 'x', '--weights', 'ResNet50_Weights.IMAGENET1K_V3'],
      /did you mean "ResNet50_Weights.IMAGENET1K_V/,
    ],
    ['arguments too many', ['devices', 'cpu'], /too many arguments/],
  ];
  test.each(cases)('%s', async (_, args, message) => {
    const { code, stdout, stderr } = await runCli(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  test('labels that are not as many as the classes', async () => {
    const labels = join(folder, 'two.txt');
    writeFileSync(labels, 'a\nb\n');
    const { code, stderr } = await runCli('classify', FIRST, '--labels', labels);
    expect(stderr).toContain('Expected 10 names');
    expect(code).toBe(2);
  });
});

describe('failures end with 1 and name their code', () => {
  test('absent and foreign weights', async () => {
    const absent = await runCli('classify', FIRST, '--weights', join(folder, 'absent.pth'));
    expect(absent.code).toBe(1);
    expect(absent.stderr).toMatch(/absent\.pth.*\(FILE\)\n$/);
    const foreign = await runCli('classify', FIRST, '--weights', FIRST);
    expect(foreign.code).toBe(1);
    expect(foreign.stderr).toContain('(WEIGHTS_FORMAT)');
  });

  test('absent labels', async () => {
    const { code, stderr } = await runCli('classify', FIRST, '--labels', join(folder, 'absent.txt'));
    expect(code).toBe(1);
    expect(stderr).toContain('(FILE)');
  });

  test('a device that cannot be had', async () => {
    const { code, stderr } = await runCli('classify', FIRST, '--device', 'cuda:99');
    expect(code).toBe(1);
    expect(stderr).toContain('(DEVICE_UNAVAILABLE)');
  });
});

describe('ended from outside', () => {
  const MANY = Array.from({ length: 40 }, () => HELD_OUT).flat();

  test('Ctrl-C ends it cleanly with 130, after whole lines', async () => {
    const { child, finished } = startCli(['classify', ...MANY, '--json']);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await finished;
    expect(code).toBe(130);
    expect(stderr).toContain('Interrupted');
    const lines = jsonLines(stdout);
    expect(lines.length).toBeLessThan(MANY.length);
    for (const { results } of lines) expect(results).toHaveLength(5);
  });

  test('a closed standard output ends it quietly with 0', async () => {
    const { child, finished } = startCli(['classify', ...MANY, '--json', '--weights', DIGITS_MODEL]);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const { code, stderr } = await finished;
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});

describe('the demo', () => {
  test('shows the digits, the claimed accuracy, and where the time of a ResNet-50 goes', async () => {
    const { code, stdout, stderr } = await startCli([], 'demo.js').finished;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/on (cpu|cuda:\d+): .+, \S+/);
    expect(stdout).toContain('357 of 360 right (99.2%)');
    expect(stdout).toMatch(/\d+ images\/s/);
    expect(stdout).toContain('2048 features');
    for (const stage of ['stem', 'layer1', 'layer4'])
      expect(stdout).toMatch(new RegExp(`${stage} .* \\d+\\.\\d\\d `));
    expect(stdout).not.toContain('\x1b');
  });
});
