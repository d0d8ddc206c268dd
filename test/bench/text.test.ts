import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { profileSvg } from '../../lib/bench/profile-svg.js';
import { readResults } from '../../lib/bench/results.js';
import { rooflineMs } from '../../lib/bench/roofline.js';
import { cellText, layersTable, machineText, remarks, resultsTable } from '../../lib/bench/text.js';
import { traceEvents } from '../../lib/bench/trace-events.js';
import { machine, makeCell, makeMeasurement, makeResults, peak } from './make-results.js';

const cell = {
  ...makeCell(1, [makeMeasurement('resnet-native', 60), makeMeasurement('onnxruntime', 50, 1.2)]),
  skipped: [{ engine: 'torch', reason: 'it is not here' }],
  layers: [
    { name: 'conv1 <stem>', op: 'conv2d', kernel: 'direct', ms: 2, macs: 4e8, bytes: 20e6 },
    { name: 'maxpool', op: 'max_pool2d', kernel: 'max', ms: 0.5, macs: 0, bytes: 5e6 },
  ],
};

test('the machine', () => {
  expect(machineText(machine, peak)).toBe(
    'Imaginary 9000, 2 cores, avx512, L1d 32 KiB, L2 1024 KiB\n' +
      'Peak of 2 threads, measured: 500 GFLOP/s float32, 20.0 GB/s',
  );
});

test('a cell in one line', () => {
  expect(cellText(cell)).toBe('resnet50 float32 cpu 1×224×224: 60.0 images/s; 1.20× onnxruntime');
});

describe('the table of results', () => {
  const titles =
    'network   dtype    device  batch  engine               images/s  spread  p50 ms    p95    p99';
  const own = 'resnet50  float32  cpu         1  resnet-native 1.2.3      60.0    1.5%   133.3  133.3  133.3';
  const peer =
    'resnet50  float32  cpu         1  onnxruntime 1.2.3        50.0    1.5%   160.0  160.0  160.0';

  test('is aligned', () => {
    expect(resultsTable(makeResults([cell]))).toEqual([
      `${titles}  GFLOP/s  of peak  load + first ms  peak MB  ours is`,
      `${own}    480.0    96.0%              150      250`,
      `${peer}    400.0    80.0%              150      250    1.20×`,
    ]);
  });

  test('compares with an earlier file, cell by cell and engine by engine', () => {
    const before = makeResults([
      makeCell(8, [makeMeasurement('resnet-native', 1)]),
      makeCell(1, [makeMeasurement('resnet-native', 40)]),
    ]);
    const [first, second, third] = resultsTable(makeResults([cell]), before);
    expect(first).toMatch(/ours is {2}than before$/);
    expect(second).toMatch(/ 1\.50×$/);
    expect(third).toMatch(/ 1\.20×$/);
  });
});

describe('remarks', () => {
  test('tell once why a peer was left out', () => {
    expect(remarks([cell, cell])).toEqual(['Not measured: torch: it is not here']);
  });

  test.each([0.02, Number.NaN, Number.POSITIVE_INFINITY])(
    'tell of logits that differ by %d',
    (difference) => {
      const wrong = { ...makeMeasurement('onnxruntime', 50, 1.2), difference };
      expect(remarks([makeCell(1, [makeMeasurement('resnet-native', 60), wrong])])).toEqual([
        expect.stringMatching(
          /^Not comparable: resnet50 float32 cpu 1×224×224: logits of onnxruntime differ/,
        ),
      ]);
    },
  );
});

describe('remarks on a narrower dtype', () => {
  const cellOf = (error?: number) => {
    const own = { ...makeMeasurement('resnet-native', 60), error: 0.1 };
    const peer = { ...makeMeasurement('openvino', 50, 1.2), difference: 0.3 };
    const engines = [own, error === undefined ? peer : { ...peer, error }];
    return { ...makeCell(1, engines), dtype: 'int8' };
  };

  test('say nothing of a peer that is about as far from float32 as we are', () => {
    expect(remarks([cellOf(0.02), cellOf(0.149)])).toEqual([]);
  });

  test.each([0.16, Number.NaN, Number.POSITIVE_INFINITY, undefined])(
    'tell of one that is %d from it',
    (error) => {
      expect(remarks([cellOf(error)])).toEqual([
        expect.stringMatching(/^Not comparable: resnet50 int8 .*openvino are .* from float32's, ours 10.0%$/),
      ]);
    },
  );
});

describe('a profile', () => {
  test('is held against the roofline', () => {
    const [conv, pool] = cell.layers.map((layer) => rooflineMs(layer, 'float32', peak));
    expect(conv).toBeCloseTo(1.6, 9); // 0.8 GFLOP at 500 GFLOP/s, above 20 MB at 20 GB/s
    expect(pool).toBeCloseTo(0.25, 9); // 5 MB at 20 GB/s
    expect(rooflineMs(cell.layers[0] as (typeof cell.layers)[0], 'int8', peak)).toBeNaN();
  });

  test('as a table', () => {
    expect(layersTable(cell, peak)).toEqual([
      'layer         operation   kernel     ms  of time  GFLOP/s  of peak  GB/s  of roofline',
      'conv1 <stem>  conv2d      direct  2.000    80.0%    400.0    80.0%  10.0        80.0%',
      'maxpool       max_pool2d  max     0.500    20.0%                    10.0        50.0%',
      '2.500 ms in all',
    ]);
  });

  test('as a drawing', () => {
    const svg = profileSvg(cell, peak);
    expect(svg).toContain('resnet50 float32 cpu 1×224×224: 2.50 ms');
    expect(svg).toContain('conv1 &lt;stem&gt;');
    expect(svg).toContain('width="520" height="14"'); // the longest layer
    expect(svg).toContain('width="416" height="6"'); // its roofline: 80%
    expect(svg).toContain('width="130" height="14"'); // the other layer: a quarter
  });

  test('as a Chrome trace', () => {
    expect(traceEvents([cell])).toEqual({
      displayTimeUnit: 'ms',
      traceEvents: [
        { name: 'process_name', ph: 'M', pid: 1, tid: 1, args: { name: 'resnet50 float32 cpu 1×224×224' } },
        {
          name: 'conv1 <stem>',
          cat: 'conv2d',
          ph: 'X',
          pid: 1,
          tid: 1,
          ts: 0,
          dur: 2000,
          args: { kernel: 'direct', macs: 4e8, bytes: 20e6 },
        },
        expect.objectContaining({ name: 'maxpool', ts: 2000, dur: 500 }),
      ],
    });
  });
});

describe('readResults', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'resnet-native-results-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('gives back what was written', async () => {
    const path = join(folder, 'good.json');
    await writeFile(path, JSON.stringify(makeResults([cell])));
    expect(await readResults(path)).toEqual(makeResults([cell]));
  });

  test.each([
    ['not JSON', '{', 'INVALID_ARGUMENT', /no result of a benchmark/],
    ['null', 'null', 'INVALID_ARGUMENT', /no result of a benchmark/],
    ['of something else', '{"format": "x"}', 'INVALID_ARGUMENT', /no result of a benchmark/],
    [
      'of another version',
      JSON.stringify({ ...makeResults([]), version: 2 }),
      'INVALID_ARGUMENT',
      /expected version 1 but the file has 2/,
    ],
  ])('a file that is %s', async (_, text, code, message) => {
    const path = join(folder, 'bad.json');
    await writeFile(path, text);
    await expect(readResults(path)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  test('a file that is not there', async () => {
    await expect(readResults(join(folder, 'none.json'))).rejects.toThrow(
      expect.objectContaining({ code: 'FILE' }),
    );
  });
});
