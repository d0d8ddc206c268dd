import {
  type Cell,
  keyOf,
  type LayerTime,
  type Machine,
  type Measurement,
  type Peak,
  type Results,
} from './results.js';
import { rooflineMs } from './roofline.js';
import { type Column, formatTable } from './table.js';

// Results for people.

// Two engines whose logits differ by more than rounding do not compute the same network. In narrower dtypes each rounds
// in places of its own, and what counts is that none is much further from float32 than we are.
const FLOAT32_TOLERANCE = 1e-4;
const MOST_OF_OUR_ERROR = 1.5;

/** What was measured on. */
export function machineText(machine: Machine, peak: Peak): string {
  const caches = Object.entries(machine.caches).map(([name, bytes]) => `${name} ${bytes / 1024} KiB`);
  const gflops = Object.entries(peak.gflops).map(([dtype, value]) => `${value.toFixed(0)} GFLOP/s ${dtype}`);
  return [
    [machine.cpu, `${machine.cores} cores`, machine.isa, ...caches].join(', '),
    `Peak of ${peak.threads} threads, measured: ${gflops.join(', ')}, ${peak.bandwidth.toFixed(1)} GB/s`,
  ].join('\n');
}

/** One line about one cell: `resnet50 float32 cpu 8×224×224: 61.2 images/s; 1.07× onnxruntime`. */
export function cellText(cell: Cell): string {
  const [own, ...peers] = cell.engines;
  const rate = `${own?.summary.imagesPerSecond.toFixed(1)} images/s`;
  const ratios = peers.map(({ engine, ratio = Number.NaN }) => `${ratio.toFixed(2)}× ${engine}`);
  return `${keyOf(cell)}: ${[rate, ...ratios].join('; ')}`;
}

interface Row {
  readonly cell: Cell;
  readonly measured: Measurement;
  /** Images/s divided by those of the earlier file; undefined where that has none. */
  readonly change: number | undefined;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'network', align: 'left', cell: ({ cell }) => cell.arch },
  { title: 'dtype', align: 'left', cell: ({ cell }) => cell.dtype },
  { title: 'device', align: 'left', cell: ({ cell }) => cell.device },
  { title: 'batch', cell: ({ cell }) => String(cell.batch) },
  { title: 'engine', align: 'left', cell: ({ measured }) => `${measured.engine} ${measured.version}` },
  { title: 'images/s', cell: ({ measured }) => measured.summary.imagesPerSecond.toFixed(1) },
  { title: 'spread', cell: ({ measured }) => percent(measured.summary.spread) },
  { title: 'p50 ms', cell: ({ measured }) => milliseconds(measured.summary.p50) },
  { title: 'p95', cell: ({ measured }) => milliseconds(measured.summary.p95) },
  { title: 'p99', cell: ({ measured }) => milliseconds(measured.summary.p99) },
  { title: 'GFLOP/s', cell: ({ measured }) => measured.summary.gflops.toFixed(1) },
  { title: 'of peak', cell: ({ measured }) => percent(measured.summary.shareOfPeak) },
  { title: 'load + first ms', cell: ({ measured }) => (measured.loadMs + measured.firstRunMs).toFixed(0) },
  { title: 'peak MB', cell: ({ measured }) => (measured.peakRssBytes / 1e6).toFixed(0) },
  { title: 'ours is', cell: ({ measured }) => times(measured.ratio) },
];

const CHANGE: Column<Row> = { title: 'than before', cell: ({ change }) => times(change) };

/** All cells and engines; with `earlier`, how much faster each has become. */
export function resultsTable(results: Results, earlier?: Results): string[] {
  const rows = results.cells.flatMap((cell) => {
    const before = earlier?.cells.find((candidate) => keyOf(candidate) === keyOf(cell));
    return cell.engines.map((measured) => ({ cell, measured, change: changeOf(measured, before) }));
  });
  return formatTable(earlier ? [...COLUMNS, CHANGE] : COLUMNS, rows);
}

function changeOf(measured: Measurement, before: Cell | undefined): number | undefined {
  const earlier = before?.engines.find(({ engine }) => engine === measured.engine);
  return earlier && measured.summary.imagesPerSecond / earlier.summary.imagesPerSecond;
}

/** Which peers were left out and why, each reason once, and which computed something else than we did. */
export function remarks(cells: readonly Cell[]): string[] {
  const skipped = cells.flatMap(({ skipped }) => {
    return skipped.map(({ engine, reason }) => `Not measured: ${engine}: ${reason}`);
  });
  const different = cells.flatMap((cell) => {
    return differencesOf(cell).map((what) => `Not comparable: ${keyOf(cell)}: logits of ${what}`);
  });
  return [...new Set([...skipped, ...different])];
}

function differencesOf({ dtype, engines }: Cell): string[] {
  if (dtype === 'float32') {
    const different = engines.filter(({ difference }) => !(difference <= FLOAT32_TOLERANCE));
    return different.map(({ engine, difference }) => `${engine} differ from ours by ${percent(difference)}`);
  }
  const ours = engines[0]?.error ?? Number.NaN;
  const worse = engines.filter(({ error = Number.NaN }) => !(error <= MOST_OF_OUR_ERROR * ours));
  return worse.map(({ engine, error = Number.NaN }) => {
    return `${engine} are ${percent(error)} from float32's, ours ${percent(ours)}`;
  });
}

/** The layers of a cell that was profiled, each against what the machine could do. */
export function layersTable({ layers = [], dtype }: Cell, peak: Peak): string[] {
  const total = layers.reduce((sum, { ms }) => sum + ms, 0);
  const gflops = ({ macs, ms }: LayerTime) => (2 * macs) / ms / 1e6;
  const columns: Column<LayerTime>[] = [
    { title: 'layer', align: 'left', cell: ({ name }) => name },
    { title: 'operation', align: 'left', cell: ({ op }) => op },
    { title: 'kernel', align: 'left', cell: ({ kernel }) => kernel },
    { title: 'ms', cell: ({ ms }) => ms.toFixed(3) },
    { title: 'of time', cell: ({ ms }) => percent(ms / total) },
    { title: 'GFLOP/s', cell: (layer) => (layer.macs ? gflops(layer).toFixed(1) : '') },
    {
      title: 'of peak',
      cell: (layer) => (layer.macs ? percent(gflops(layer) / (peak.gflops[dtype] ?? Number.NaN)) : ''),
    },
    { title: 'GB/s', cell: ({ bytes, ms }) => (bytes ? (bytes / ms / 1e6).toFixed(1) : '') },
    { title: 'of roofline', cell: (layer) => percent(rooflineMs(layer, dtype, peak) / layer.ms) },
  ];
  return [...formatTable(columns, layers), `${total.toFixed(3)} ms in all`];
}

function percent(share: number | null): string {
  return share === null || Number.isNaN(share) ? '' : `${(100 * share).toFixed(1)}%`;
}

function milliseconds(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

function times(ratio: number | undefined): string {
  return ratio === undefined ? '' : `${ratio.toFixed(2)}×`;
}
