import { ResNetError } from '../errors.js';
import { networkMacs, stepCosts } from './costs.js';
import { type EngineCommand, EngineProcess } from './engine-process.js';
import type { NetworkFiles } from './network-files.js';
import { type FoundEngine, OWN, ownEngine, takesOnnx, whyNotComparable } from './peers.js';
import type { LoadAnswer } from './protocol.js';
import type { Cell, CellKey, LayerTime, Measurement, Peak, Settings, Skipped, Summary } from './results.js';
import { centredError, median, percentile, relativeDifference, spread } from './statistics.js';

// One cell: engines side by side, each in a process of its own that stays alive, one running at a time.

const PROFILE_RUNS = 7;
// As long as this share of the measuring, each engine runs before anything counts.
const WARM_UP_SHARE = 0.2;

export interface CellRequest {
  readonly key: CellKey;
  readonly files: NetworkFiles;
  readonly peers: readonly FoundEngine[];
  readonly settings: Settings;
  readonly peak: Peak;
  readonly profile: boolean;
  readonly signal: AbortSignal;
}

/** A loaded engine and what was measured of it so far. */
interface Contender {
  readonly engine: string;
  readonly process: EngineProcess;
  readonly loaded: LoadAnswer;
  readonly rounds: number[][];
}

/** The engines of a cell: ours first, then the peers that have not failed. */
interface Field {
  readonly contenders: Contender[];
  readonly skipped: Skipped[];
}

/**
 * Measures one cell. Rounds alternate between the engines, so that a machine that slows down slows all of them.
 * @throws ResNetError what our own engine fails with; a peer that fails is skipped.
 */
export async function measureCell(request: CellRequest): Promise<Cell> {
  const { key, files, settings } = request;
  const field: Field = { contenders: [], skipped: [] };
  try {
    const own = await start(ownEngine(), request);
    field.contenders.push(own);
    for (const peer of request.peers) await enter(peer, field, request);
    await takeTurns(field, settings.seconds * WARM_UP_SHARE, request);
    for (const { rounds } of field.contenders) rounds.length = 0; // the warm-up does not count
    for (let round = 0; round < settings.rounds; round++) {
      await takeTurns(field, settings.seconds / settings.rounds, request);
    }
    const macs = networkMacs(files.network.model.graph, inputShape(request, 1));
    const engines: Measurement[] = [];
    for (const contender of field.contenders) engines.push(await resultOf(contender, own, macs, request));
    const layers = request.profile ? await profileLayers(own, request) : undefined;
    return { ...key, macs, engines, skipped: field.skipped, ...(layers && { layers }) };
  } finally {
    for (const { process } of field.contenders) await process.close();
  }
}

/** Starts a peer, or notes why it cannot be. */
async function enter(peer: FoundEngine, { contenders, skipped }: Field, request: CellRequest): Promise<void> {
  if ('reason' in peer) {
    skipped.push(peer);
    return;
  }
  const { engine } = peer;
  const reason = whyNotComparable(engine, request.key);
  if (reason !== undefined) {
    skipped.push({ engine, reason });
    return;
  }
  try {
    contenders.push(await start(peer, request));
  } catch (error) {
    if (request.signal.aborted) throw error;
    skipped.push({ engine, reason: (error as Error).message });
  }
}

/** One round: each engine runs for that long. A peer that fails leaves the field. */
async function takeTurns(field: Field, seconds: number, { signal }: CellRequest): Promise<void> {
  for (const contender of [...field.contenders]) {
    const { engine, process, rounds } = contender;
    try {
      const { ms } = await process.ask({ op: 'run', seconds });
      rounds.push(ms.map((time) => Number(time.toFixed(4))));
    } catch (error) {
      if (engine === OWN || signal.aborted) throw error;
      field.contenders.splice(field.contenders.indexOf(contender), 1);
      field.skipped.push({ engine, reason: (error as Error).message });
      await process.close();
    }
  }
}

async function start(command: EngineCommand, request: CellRequest): Promise<Contender> {
  const { key, files, settings, signal } = request;
  const shape = inputShape(request, key.batch);
  const { safetensors, onnx, onnxMissing } = await files.for(key.dtype);
  if (takesOnnx(command.engine) && onnxMissing !== undefined) {
    throw new ResNetError('UNSUPPORTED', onnxMissing);
  }
  const process = new EngineProcess(command, signal);
  try {
    const loaded = await process.ask({
      op: 'load',
      arch: files.arch,
      safetensors,
      onnx,
      input: await files.writeInput(shape),
      shape,
      device: key.device,
      dtype: key.dtype,
      threads: settings.threads,
      autotune: settings.autotune,
      ...command.options,
    });
    if (!loaded.logits.every(Number.isFinite)) {
      throw new ResNetError('INTERNAL', `${command.engine}: its logits are not finite numbers`);
    }
    return { engine: command.engine, process, loaded, rounds: [] };
  } catch (error) {
    await process.close();
    throw error;
  }
}

async function resultOf(
  { engine, process, loaded, rounds }: Contender,
  own: Contender,
  macs: number,
  request: CellRequest,
): Promise<Measurement> {
  const { key, peak } = request;
  const { version, loadMs, firstRunMs, logits } = loaded;
  const { peakRssBytes } = await process.ask({ op: 'memory' });
  return {
    engine,
    version,
    loadMs,
    firstRunMs,
    peakRssBytes,
    difference: relativeDifference(logits, own.loaded.logits),
    ...(key.dtype !== 'float32' && { error: await errorOf(logits, request) }),
    rounds,
    summary: summarise(rounds, key.batch, macs, peak.gflops[key.dtype]),
    ...(engine !== OWN && { ratio: ratioOf(own.rounds, rounds) }),
  };
}

async function errorOf(logits: readonly number[], request: CellRequest): Promise<number> {
  const { batch } = request.key;
  return centredError(
    logits,
    await request.files.float32Logits(inputShape(request, batch)),
    logits.length / batch,
  );
}

/**
 * @param rounds milliseconds of every run of a whole batch.
 * @param macs multiply-adds for one image.
 * @param peakGflops of the machine; undefined where it was not measured.
 */
export function summarise(
  rounds: readonly (readonly number[])[],
  batch: number,
  macs: number,
  peakGflops: number | undefined,
): Summary {
  const rates = rounds.map((ms) => 1000 * batch * runsPerMs(ms));
  const imagesPerSecond = median(rates);
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(rounds.flat(), share)) as [
    number,
    number,
    number,
  ];
  const gflops = (2 * macs * imagesPerSecond) / 1e9;
  const shareOfPeak = peakGflops === undefined ? null : gflops / peakGflops;
  return { imagesPerSecond, spread: spread(rates), p50, p95, p99, gflops, shareOfPeak };
}

/** The median over the rounds of how much faster `own` was. */
export function ratioOf(own: readonly (readonly number[])[], peer: readonly (readonly number[])[]): number {
  return median(own.map((ms, round) => runsPerMs(ms) / runsPerMs(peer[round] as readonly number[])));
}

function runsPerMs(ms: readonly number[]): number {
  return ms.length / ms.reduce((sum, time) => sum + time, 0);
}

async function profileLayers(own: Contender, request: CellRequest): Promise<LayerTime[]> {
  const { steps } = await own.process.ask({ op: 'profile', runs: PROFILE_RUNS });
  const { graph } = request.files.network.model;
  const names = steps.map((step) => step.name);
  const costs = stepCosts(graph, names, inputShape(request, request.key.batch));
  return steps.map((step, i) => ({ ...step, ...(costs[i] as { macs: number; bytes: number }) }));
}

function inputShape({ key, files }: CellRequest, batch: number): [number, number, number, number] {
  return [batch, files.network.model.inputChannels, key.height, key.width];
}
