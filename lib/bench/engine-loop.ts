import { open } from 'node:fs/promises';
import { shapeSize } from '../shape.js';
import { answerLines } from './answer-lines.js';
import { peakMemoryBytes } from './peak-memory.js';
import type { Answers, LoadRequest, Request } from './protocol.js';

// What an engine's process in JavaScript does. An engine gives its functions; how runs are timed is written here once,
// the same for all.

/** A network in an engine. */
export interface LoadedNetwork {
  /** Runs the batch that the engine was loaded with. */
  run(): Promise<Float32Array>;
  profile?(runs: number): Promise<Answers['profile']>;
}

export interface Engine {
  readonly version: string;
  /** Memory for the batch that runs read. Default: JavaScript's own. */
  allocate?(shape: readonly number[]): Float32Array;
  /** From the file to a network that can run. */
  load(request: LoadRequest, input: Float32Array): Promise<LoadedNetwork>;
}

/** Answers requests until standard input ends. */
export function serveEngine(engine: Engine): Promise<void> {
  let network: LoadedNetwork | undefined;
  return answerLines(async (request: Request) => {
    if (request.op === 'memory') return { peakRssBytes: peakMemoryBytes() };
    if (request.op === 'load') {
      const input = await readInput(request, engine);
      const start = performance.now();
      network = await engine.load(request, input);
      const loaded = performance.now();
      const logits = await network.run();
      const [loadMs, firstRunMs] = [loaded - start, performance.now() - loaded];
      return { version: engine.version, loadMs, firstRunMs, logits: Array.from(logits) };
    }
    if (!network) throw new Error('nothing is loaded');
    if (request.op === 'run') return { ms: await timeRuns(network, request.seconds) };
    if (!network.profile) throw new Error('this engine has no profile');
    return network.profile(request.runs);
  });
}

/** Straight into its place: a copy beside it would count as memory of the engine's. */
async function readInput({ input, shape }: LoadRequest, engine: Engine): Promise<Float32Array> {
  const batch = engine.allocate?.(shape) ?? new Float32Array(shapeSize(shape));
  const file = await open(input);
  try {
    const { bytesRead } = await file.read(batch, 0, batch.byteLength, 0);
    if (bytesRead === batch.byteLength) return batch;
    throw new Error(`expected ${batch.byteLength} bytes of input but there are ${bytesRead}`);
  } finally {
    await file.close();
  }
}

async function timeRuns(network: LoadedNetwork, seconds: number): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  do {
    const start = performance.now();
    await network.run();
    times.push(performance.now() - start);
  } while (performance.now() < end);
  return times;
}
