import { availableParallelism } from 'node:os';
import { checkInteger, checkOneOf, invalid } from '../is.js';
import { AUTOTUNE, type Autotune } from '../runtime/compile.js';
import { native } from '../runtime/native.js';
import { measureCell } from './measure.js';
import { NetworkFiles } from './network-files.js';
import { benchNetworkNames } from './networks.js';
import { findPeer, PEERS, type PeerName, takesOnnx } from './peers.js';
import { provenanceOf } from './provenance.js';
import { type Cell, type CellKey, FORMAT, type Results, VERSION } from './results.js';

/** Every network is measured with every dtype, on every device, at every batch. */
export interface BenchOptions {
  /** Of networks, as `benchNetworkNames` gives them. */
  readonly archs: readonly string[];
  readonly dtypes: readonly string[];
  readonly devices: readonly string[];
  readonly batches: readonly number[];
  /** Height and width of the images. Default: what the network's usually have. */
  readonly size?: number | undefined;
  /** Of the CPU, for all engines. Default: what the machine grants. */
  readonly threads?: number | undefined;
  /** Of our sessions. Default: `off`. */
  readonly autotune?: Autotune | undefined;
  /** Of measuring, for each engine in each cell, over all rounds. */
  readonly seconds: number;
  readonly rounds: number;
  readonly peers: readonly PeerName[];
  /** The interpreter for peers that run in Python. */
  readonly python?: string | undefined;
  /** Whether the steps of our plans are timed as well. */
  readonly profile: boolean;
  /** What was typed, for the record. */
  readonly command: string;
}

export interface BenchContext {
  readonly signal: AbortSignal;
  /** Told each cell when it is measured. */
  readonly onCell: (cell: Cell) => void;
}

const MAX_SIZE = 4096;
const MAX_BATCH = 4096;
const MAX_THREADS = 1024;

/**
 * Measures this package, and peers beside it, on networks with random parameters. Writes nothing but temporary files.
 * @throws ResNetError `INVALID_ARGUMENT` for options; what compiling and running throw. Peers that fail are skipped.
 */
export async function benchmark(options: BenchOptions, { signal, onCell }: BenchContext): Promise<Results> {
  checkBenchOptions(options);
  const provenance = await provenanceOf(options.command);
  const { seconds, rounds, autotune, threads = availableParallelism() } = options;
  const settings = { threads, seconds, rounds, ...(autotune !== undefined && { autotune }) };
  const peak = { threads, ...(await native().measurePeak(threads)) };
  const peers = options.peers.map((name) => findPeer(name, options.python));
  const withOnnx = peers.some((peer) => !('reason' in peer) && takesOnnx(peer.engine));
  const cells: Cell[] = [];
  for (const arch of options.archs) {
    await using files = await NetworkFiles.write(arch, withOnnx, { python: options.python });
    for (const key of cellsOf(files, options)) {
      const cell = await measureCell({ key, files, peers, settings, peak, profile: options.profile, signal });
      cells.push(cell);
      onCell(cell);
    }
  }
  return {
    format: FORMAT,
    version: VERSION,
    ...provenance,
    peak,
    settings,
    cells,
  };
}

/** @throws ResNetError `INVALID_ARGUMENT`. */
function checkBenchOptions(options: BenchOptions): void {
  const { archs, dtypes, devices, batches, size, threads, autotune, seconds, rounds, peers } = options;
  for (const arch of archs) checkOneOf('the architecture', arch, benchNetworkNames());
  for (const peer of peers) checkOneOf('a peer', peer, PEERS);
  for (const batch of batches) checkInteger('a batch', batch, 1, MAX_BATCH);
  if (size !== undefined) checkInteger('the size of images', size, 1, MAX_SIZE);
  if (autotune !== undefined) checkOneOf('autotune', autotune, AUTOTUNE);
  if (threads !== undefined) checkInteger('threads', threads, 1, MAX_THREADS);
  checkInteger('rounds', rounds, 1);
  if (!(Number.isFinite(seconds) && seconds > 0)) throw invalid('seconds', 'a positive number', seconds);
  for (const [name, list] of Object.entries({ archs, dtypes, devices, batches })) {
    if (list.length === 0) throw invalid(name, 'at least one', list);
  }
}

function* cellsOf(files: NetworkFiles, options: BenchOptions): Generator<CellKey> {
  const { dtypes, devices, batches, size = files.network.imageSize } = options;
  for (const dtype of dtypes) {
    for (const device of devices) {
      for (const batch of batches) {
        yield { arch: files.arch, dtype, device, batch, height: size, width: size };
      }
    }
  }
}
