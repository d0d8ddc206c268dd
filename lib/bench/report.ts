import { ResNetError } from '../errors.js';
import { show } from '../is.js';
import { isOwnVariant, OWN } from './peers.js';
import type { PipelineCell, PipelineResults } from './pipeline-results.js';
import type { Cell, Measurement, Provenance, Results } from './results.js';

// Results as the README has them: the same text for the same files, whenever it is made.

export type Row = readonly string[];

/** The README's table of one results file: a row for each cell, and what it was measured on. */
export function benchTable(results: Results): string {
  const { peers, cells, peak, settings } = { ...results, peers: peersOf(results) };
  const titles = ['network', 'dtype', 'batch', 'resnet-native', 'of peak', 'p99', ...peers, 'ours / best'];
  const gflops = Object.entries(peak.gflops).map(([dtype, value]) => `${value.toFixed(0)} GFLOP/s ${dtype}`);
  return [
    markdownTable(
      titles,
      cells.map((cell) => benchRow(cell, peers)),
    ),
    `Images/s, the median of ${settings.rounds} rounds in which the engines took turns; ${settings.threads} threads, ` +
      `measured peak ${gflops.join(', ')}. ${provenance(results)}`,
  ].join('\n\n');
}

function benchRow(cell: Cell, peers: readonly string[]): Row {
  const [own] = cell.engines;
  const others = peers.map((peer) => cell.engines.find(({ engine }) => engine === peer));
  const ratios = others.flatMap((other) => (other?.ratio === undefined ? [] : [other.ratio]));
  const rate = (measured: Measurement | undefined) => measured?.summary.imagesPerSecond.toFixed(1) ?? '';
  return [
    cell.arch,
    cell.dtype,
    String(cell.batch),
    `**${rate(own)}**`,
    own?.summary.shareOfPeak ? `${(100 * own.summary.shareOfPeak).toFixed(0)}%` : '',
    own ? `${own.summary.p99.toFixed(1)} ms` : '',
    ...others.map(rate),
    ratios.length ? `${Math.min(...ratios).toFixed(2)}×` : '',
  ];
}

/**
 * The README's table of what the engines of one results file hold at most, and how soon they have answered once: ours
 * with its variants against the peer that needs least.
 */
export function memoryTable(results: Results): string {
  const names = peersOf(results);
  const own = [OWN, ...names.filter(isOwnVariant)];
  const peers = names.filter((name) => !isOwnVariant(name));
  const ratios = own.map((name) => `${name} / best`);
  const titles = [
    'network',
    'dtype',
    'batch',
    ...own,
    ...peers,
    ...ratios,
    'load + first run',
    'ours / best',
  ];
  return [
    markdownTable(
      titles,
      results.cells.map((cell) => memoryRow(cell, own, peers)),
    ),
    'The most memory that the process of each engine ever held; the time from a file on disk to the end of the first ' +
      `run, and what it is of the quickest peer's. ${provenance(results)}`,
  ].join('\n\n');
}

function memoryRow(cell: Cell, own: readonly string[], peers: readonly string[]): Row {
  const measured = (name: string) => cell.engines.find(({ engine }) => engine === name);
  const [ours, others] = [own.map(measured), peers.map(measured)];
  const least = Math.min(...others.map((peer) => peer?.peakRssBytes ?? Number.POSITIVE_INFINITY));
  const quickest = Math.min(...others.map(firstAnswerMs));
  return [
    cell.arch,
    cell.dtype,
    String(cell.batch),
    ...[...ours, ...others].map((engine) => (engine ? megabytes(engine.peakRssBytes) : '')),
    ...ours.map((engine) => shareOf(engine?.peakRssBytes, least)),
    `${firstAnswerMs(ours[0]).toFixed(0)} ms`,
    shareOf(firstAnswerMs(ours[0]), quickest),
  ];
}

/** Infinite for an engine that was not measured. */
function firstAnswerMs(engine: Measurement | undefined): number {
  return engine ? engine.loadMs + engine.firstRunMs : Number.POSITIVE_INFINITY;
}

/** Empty where there is nothing to compare, or nothing to compare with: `best` is infinite then. */
function shareOf(value: number | undefined, best: number): string {
  return value === undefined || best === Number.POSITIVE_INFINITY ? '' : `${(value / best).toFixed(2)}×`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

/** Names of all engines but ours, in the order of their first appearance. */
export function peersOf({ cells }: Results): string[] {
  return [...new Set(cells.flatMap(({ engines }) => engines.slice(1).map(({ engine }) => engine)))];
}

/** The README's table of a file that bench/pipeline.mjs wrote: a row for each network and engine. */
export function pipelineTable(results: PipelineResults): string {
  const loop = ['event loop p99', 'worst'];
  const titles = ['network', 'engine', 'images/s', ...loop, 'load + first image', 'peak memory', 'ours is'];
  return [
    markdownTable(titles, results.cells.flatMap(pipelineRows)),
    `From JPEG files to the five likeliest classes, ${results.threads} threads. ${provenance(results)}`,
  ].join('\n\n');
}

function pipelineRows(cell: PipelineCell): Row[] {
  return cell.engines.map((measured, i) => [
    cell.arch,
    measured.engine,
    measured.imagesPerSecond.toFixed(1),
    `${measured.eventLoopP99Ms.toFixed(1)} ms`,
    `${measured.eventLoopWorstMs.toFixed(1)} ms`,
    `${measured.loadAndFirstMs.toFixed(0)} ms`,
    megabytes(measured.peakRssBytes),
    i === 0 || cell.ratio === undefined ? '' : `${cell.ratio.toFixed(2)}×`,
  ]);
}

/** What was measured, on what, when and how. */
export function provenance({ machine, date, versions, command }: Provenance): string {
  const { cpu, cores, isa } = machine;
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cpu}, ${cores} cores, ${isa}; ${date.slice(0, 10)}; ${named.join(', ')}; \`${command}\`.`;
}

export function markdownTable(titles: Row, rows: readonly Row[]): string {
  const line = (cells: Row) => `| ${cells.join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}

/**
 * `page` with each table between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` replaced by the one of that name.
 * @throws ResNetError `INVALID_ARGUMENT` for a name without a table, and for a marker that is not closed.
 */
export function replaceTables(page: string, tables: ReadonlyMap<string, string>): string {
  const replaced = page.replaceAll(
    /<!-- bench:(\S+) -->.*?<!-- \/bench:\1 -->/gs,
    (_, name: string) => `<!-- bench:${name} -->\n\n${tableNamed(name, tables)}\n\n<!-- /bench:${name} -->`,
  );
  const opened = page.match(/<!-- bench:\S+ -->/g)?.length ?? 0;
  const closed = page.match(/<!-- \/bench:\S+ -->/g)?.length ?? 0;
  if (opened === closed) return replaced;
  throw new ResNetError('INVALID_ARGUMENT', `${opened} markers open a table and ${closed} close one`);
}

function tableNamed(name: string, tables: ReadonlyMap<string, string>): string {
  const table = tables.get(name);
  if (table !== undefined) return table;
  const there = [...tables.keys()].map(show).join(', ') || 'none';
  throw new ResNetError('INVALID_ARGUMENT', `No results are named ${show(name)}; there are ${there}`);
}
