import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeReport } from '../../lib/bench/write-report.js';
import {
  makeCell,
  makeExtractResults,
  makeMeasurement,
  makePipelineResults,
  makeResults,
  makeWorkersResults,
} from './make-results.js';

const results = makeResults([
  makeCell(1, [makeMeasurement('resnet-native', 60), makeMeasurement('onnxruntime', 50, 1.2)]),
  makeCell(8, [
    makeMeasurement('resnet-native', 66),
    makeMeasurement('onnxruntime', 60, 1.1),
    makeMeasurement('openvino', 55, 1.19),
  ]),
]);

const PAGE = `# A page

<!-- bench:cpu -->
what was there
<!-- /bench:cpu -->

Between <!-- bench:files --><!-- /bench:files --> and after.
`;

const EXPECTED = `# A page

<!-- bench:cpu -->

| network | dtype | batch | resnet-native | of peak | p99 | onnxruntime | openvino | ours / best |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| resnet50 | float32 | 1 | **60.0** | 96% | 133.3 ms | 50.0 |  | 1.20× |
| resnet50 | float32 | 8 | **66.0** | 106% | 121.2 ms | 60.0 | 55.0 | 1.10× |

Images/s, the median of 2 rounds in which the engines took turns; 2 threads, measured peak 500 GFLOP/s float32. Imaginary 9000, 2 cores, avx512; 2026-01-02; resnet-native 0.1.0, node v22.0.0; \`resnet-native bench --peers onnxruntime\`.

<!-- /bench:cpu -->

Between <!-- bench:files -->

| network | engine | images/s | event loop p99 | worst | load + first image | peak memory | ours is |
| --- | --- | --- | --- | --- | --- | --- | --- |
| resnet18 | resnet-native | 150.0 | 1.5 ms | 30.0 ms | 60 ms | 300 MB |  |
| resnet18 | sharp + onnxruntime-node | 100.0 | 1.5 ms | 30.0 ms | 80 ms | 300 MB | 1.50× |

From JPEG files to the five likeliest classes, 2 threads. Imaginary 9000, 2 cores, avx512; 2026-01-02; node v22.0.0; \`node bench/pipeline.mjs\`.

<!-- /bench:files --> and after.
`;

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'resnet-native-report-'));
  await mkdir(join(root, 'bench', 'results'), { recursive: true });
  await writeFile(join(root, 'README.md'), PAGE);
  await writeFile(join(root, 'bench/results/cpu.json'), JSON.stringify(results));
  await writeFile(join(root, 'bench/results/files.json'), JSON.stringify(makePipelineResults()));
  await writeFile(join(root, 'bench/results/README.md'), 'no results');
});

afterEach(() => rm(root, { recursive: true }));

const read = (path: string) => readFile(join(root, path), 'utf8');
const write = (path: string, text: string) => writeFile(join(root, path), text);

describe('writeReport', () => {
  test('puts each table between its markers', async () => {
    expect(await writeReport(root)).toEqual(['cpu', 'files']);
    expect(await read('README.md')).toBe(EXPECTED);
  });

  test('a file of bench/extract, and one of its workers', async () => {
    const page =
      '<!-- bench:extract --><!-- /bench:extract --> <!-- bench:workers --><!-- /bench:workers -->';
    await write('README.md', page);
    await write('bench/results/extract.json', JSON.stringify(makeExtractResults()));
    await write('bench/results/workers.json', JSON.stringify(makeWorkersResults()));
    await writeReport(root);
    const text = await read('README.md');
    expect(text).toContain('| resnet18 | int8 | resnet-native 0.1.0 | **90.0** | 250 MB |  |  |');
    expect(text).toContain('| resnet18 | float32 | torch 2.0 | 60.0 | 500 MB | 2e-2 | 1.50× |');
    // The slower does 100; both together 1 / (1/400 + 1/100) = 80.
    expect(text).toContain('the pipeline reaches 90% of the slower and 113% of what both allow');
    expect(text).toContain('| 2 | 75.0 | 1.50× |');
  });

  test('the memory of sessions with other options, against the peer that needs least', async () => {
    const low = { ...makeMeasurement('memory-low', 50, 1.2), peakRssBytes: 120e6 };
    const peers = [
      { ...makeMeasurement('onnxruntime', 50, 1.2), peakRssBytes: 400e6, loadMs: 150 },
      { ...makeMeasurement('openvino', 55, 1.1), peakRssBytes: 300e6, loadMs: 250 },
    ];
    const cells = [
      makeCell(1, [makeMeasurement('resnet-native', 60), ...peers, low]),
      makeCell(8, [makeMeasurement('resnet-native', 60), low]),
    ];
    await write('bench/results/cpu.json', JSON.stringify(makeResults(cells)));
    await write('README.md', '<!-- bench:cpu:memory --><!-- /bench:cpu:memory -->');
    expect(await writeReport(root)).toEqual(['cpu', 'files']);
    const [, , titles, , ...rows] = (await read('README.md')).split('\n');
    expect(titles).toBe(
      '| network | dtype | batch | resnet-native | memory-low | onnxruntime | openvino ' +
        '| resnet-native / best | memory-low / best | load + first run | ours / best |',
    );
    expect(rows.slice(0, 2)).toEqual([
      '| resnet50 | float32 | 1 | 250 MB | 120 MB | 400 MB | 300 MB | 0.83× | 0.40× | 150 ms | 0.75× |',
      '| resnet50 | float32 | 8 | 250 MB | 120 MB |  |  |  |  | 150 ms |  |',
    ]);
  });

  test('draws the rates of each cell', async () => {
    await writeReport(root);
    const svg = await read('docs/plots/cpu.svg');
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" width="840" height="178"/);
    expect(svg).toContain('resnet50 float32, batch 8');
    expect(svg).toContain('50.0 (ours 1.20×)');
    // onnxruntime at batch 1: five sixths of the width of ours, which is 460.
    expect(svg).toContain('width="383.33" height="12" fill="#9ecae1"');
  });

  test('gives the same files when it is run again', async () => {
    await writeReport(root);
    const before = [await read('README.md'), await read('docs/plots/cpu.svg')];
    await writeReport(root);
    expect([await read('README.md'), await read('docs/plots/cpu.svg')]).toEqual(before);
  });

  test.each([
    [
      'a marker without results',
      '<!-- bench:gpu --><!-- /bench:gpu -->',
      /No results are named "gpu"; there are "cpu", "cpu:memory", "files"/,
    ],
    ['a marker that is not closed', '<!-- bench:cpu -->', /1 markers open a table and 0 close one/],
  ])('%s is refused, and the page stays', async (_, page, message) => {
    await writeFile(join(root, 'README.md'), page);
    await expect(writeReport(root)).rejects.toThrow(message);
    expect(await read('README.md')).toBe(page);
  });

  test('a file that is no result is refused by name', async () => {
    await writeFile(join(root, 'bench/results/other.json'), '{}');
    await expect(writeReport(root)).rejects.toThrow(/^other\.json is no result of a benchmark/);
  });
});
