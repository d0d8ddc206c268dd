import { markdownTable, provenance, type Row } from './report.js';
import type {
  ClosedPart,
  MemoryPart,
  OpenPart,
  OverloadPart,
  ServeResults,
  WindowsP99,
} from './serve-results.js';

const percent = (share: number, digits = 0) => `${(100 * share).toFixed(digits)}%`;
const ms = (value: number) => `${value.toFixed(1)} ms`;

/** The tables of a file that bench/serve.mjs wrote: throughput beside the peer, and what else was measured under load. */
export function serveTables(results: ServeResults): string {
  const { closed, open, overload, memory } = results.parts;
  const parts = Object.values(results.parts);
  const dates = parts.map(({ date }) => date).sort();
  const commands = [...new Set(parts.map(({ command }) => command))].join('; ');
  const measures = [
    ...(closed ? throughputMeasures(closed) : []),
    ...(open ? latencyMeasures(open) : []),
    ...(overload ? overloadMeasures(overload) : []),
    ...(memory ? memoryMeasures(memory) : []),
  ];
  return [
    ...(closed ? [throughputTable(closed)] : []),
    markdownTable(['', 'measured', 'goal'], measures),
    `${results.arch}, one float32 image of 224×224 a request, in binary; ${results.threads} threads, and the generator of the ` +
      `load on the same cores. ${provenance({ ...results, date: dates[0] ?? '', command: commands })}`,
  ].join('\n\n');
}

function throughputTable({ cells }: ClosedPart): string {
  const titles = [
    'clients',
    'server',
    'images/s',
    'p50',
    'p99',
    'event loop p99',
    'generator',
    'of bare session',
  ];
  const rows = cells
    .toSorted((a, b) => a.concurrency - b.concurrency)
    .map(
      (cell): Row => [
        String(cell.concurrency),
        cell.engine,
        cell.imagesPerSecond.toFixed(1),
        ms(cell.p50),
        ms(cell.p99),
        ms(cell.eventLoopP99Ms),
        `${cell.generatorCores.toFixed(2)} cores`,
        percent(cell.shareOfBare),
      ],
    );
  return markdownTable(titles, rows);
}

function throughputMeasures({ bare, cells }: ClosedPart): Row[] {
  const [own] = cells;
  const best = Math.max(...bare.map(({ imagesPerSecond }) => imagesPerSecond));
  const shares = cells.filter(({ engine }) => engine === own?.engine).map(({ shareOfBare }) => shareOfBare);
  return [
    [
      `throughput, of the ${best.toFixed(1)} images/s of the bare session less what the generator takes`,
      percent(Math.max(...shares)),
      '≥ 85%',
    ],
  ];
}

function latencyMeasures({ cells }: OpenPart): Row[] {
  const goals = ['≤ 4.5×', '≤ 12×'];
  return cells.map(({ share, windows, p99Times, inProcessP99Times }, i) => {
    const rates = range(windows.map(({ rate }) => rate));
    const images = range(windows.map(({ computeMs }) => computeMs));
    return [
      `p99 at ${percent(share)} load (Poisson, ${rates}/s), in times of the ${images} ms that one image takes: the median of ` +
        `${windows.length} windows (all requests together); without a server`,
      `${times(p99Times)}; ${times(inProcessP99Times)}`,
      goals[i] ?? '',
    ];
  });
}

function range(values: readonly number[]): string {
  return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
}

function times({ median, pooled }: WindowsP99): string {
  return `${median.toFixed(1)}× (${pooled.toFixed(1)}×)`;
}

function overloadMeasures(part: OverloadPart): Row[] {
  const { '200': answered = 0, '429': refused = 0 } = part.statuses;
  const others = Object.entries(part.statuses).filter(([status]) => status !== '200' && status !== '429');
  const unexpected = others.reduce((sum, [, count]) => sum + count, 0);
  return [
    [
      `goodput at 3× load for ${part.seconds.toFixed(0)} s, of its peak (${part.capacity.toFixed(1)}/s)`,
      percent(part.perSecond / part.capacity),
      '≥ 90%',
    ],
    [
      'answers: 200, 429, others; reset connections',
      `${answered}, ${refused}, ${unexpected}; ${part.resets}`,
      'no others, no resets',
    ],
    [`health p99 meanwhile, of ${part.healthProbes}`, ms(part.healthP99Ms), '≤ 50 ms'],
    ['event loop p99 meanwhile', ms(part.eventLoopP99Ms), '≤ 5 ms'],
  ];
}

function memoryMeasures({ requests, seconds, rssBytes, growth }: MemoryPart): Row[] {
  const rate = (requests / seconds).toFixed(0);
  const megabytes = [rssBytes[0], rssBytes.at(-1)].map((bytes = 0) => (bytes / 1e6).toFixed(0)).join(' to ');
  return [
    [
      `memory over ${requests} small requests (${rate}/s; ${megabytes} MB)`,
      `${growth < 0 ? '−' : '+'}${percent(Math.abs(growth), 1)}`,
      '≤ +5%',
    ],
  ];
}
