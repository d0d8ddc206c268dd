import { rateTogether } from '../extract/alone.js';
import type { ExtractCell, ExtractResults, WorkersResults } from './extract-results.js';
import { markdownTable, provenance } from './report.js';

// The README's tables of feature extraction.

/** Of a file that bench/extract/run.mjs wrote: a row for each network and engine. */
export function extractTable(results: ExtractResults): string {
  const titles = ['network', 'dtype', 'engine', 'images/s', 'peak memory', 'features differ by', 'ours is'];
  const megabytes = (results.bytes / 1e6).toFixed(0);
  return [
    markdownTable(titles, results.cells.flatMap(extractRows)),
    `${results.images} JPEG files of ${megabytes} MB into one \`.npy\` of \`avgpool\`, batch ${results.cells[0]?.batch}, ` +
      `${results.threads} threads. ${results.cells.map(aloneText).join(' ')} ${provenance(results)}`,
  ].join('\n\n');
}

function extractRows({ arch, engines }: ExtractCell): string[][] {
  return engines.map(({ engine, dtype, version, imagesPerSecond, peakRssBytes, difference, ratio }) => [
    arch,
    dtype,
    `${engine} ${version}`,
    ratio === undefined ? `**${imagesPerSecond.toFixed(1)}**` : imagesPerSecond.toFixed(1),
    `${(peakRssBytes / 1e6).toFixed(0)} MB`,
    ratio === undefined ? '' : difference.toExponential(0),
    ratio === undefined ? '' : `${ratio.toFixed(2)}×`,
  ]);
}

/** What bounds our pipeline, and how near it comes. */
function aloneText({ arch, dtype, engines, alone }: ExtractCell): string {
  const rate = engines[0]?.imagesPerSecond ?? Number.NaN;
  const [slower, together] = [Math.min(alone.decode, alone.compute), rateTogether(alone)];
  return (
    `${arch} in ${dtype}: decoding alone ${alone.decode.toFixed(0)}, computing alone ${alone.compute.toFixed(1)} images/s; ` +
    `the pipeline reaches ${percent(rate / slower)} of the slower and ${percent(rate / together)} of what both allow that ` +
    'share the cores.'
  );
}

/** Of a file that bench/extract/workers.mjs wrote: a row for each number of workers. */
export function workersTable(results: WorkersResults): string {
  const [one] = results.cells;
  const rows = results.cells.map(({ workers, imagesPerSecond }) => [
    String(workers),
    imagesPerSecond.toFixed(1),
    one ? `${(imagesPerSecond / one.imagesPerSecond).toFixed(2)}×` : '',
  ]);
  return [
    markdownTable(['workers', 'images/s', 'against one'], rows),
    `${results.images} JPEG files through a queue in parts of ${results.shardSize}, ${results.arch} in float32, one thread a ` +
      `worker. ${provenance(results)}`,
  ].join('\n\n');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}
