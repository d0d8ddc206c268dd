import { availableParallelism } from 'node:os';
import { ResNetError } from '../errors.js';
import type { Results, Session } from '../runtime/session.js';
import { type Pixels, stack } from '../tasks/images.js';
import { groupNeighbours, mapOrdered, throwIfAborted } from '../tasks/pipeline.js';
import type { ClassificationTransform } from '../transforms/index.js';
import type { Entry } from './sources/entry.js';
import type { StageClocks } from './stage-clock.js';

/** Neighbours that were computed together. */
export interface Batch {
  /** In the order of the entries; those with an error have no row. */
  readonly images: readonly { readonly key: string; readonly error?: ResNetError }[];
  /** A row for every image without an error, by output; {} if there is none. */
  readonly results: Results;
}

interface Loaded {
  readonly key: string;
  readonly bytes?: Uint8Array;
  readonly pixels?: Pixels;
  readonly error?: ResNetError;
}

const READS_UNDER_WAY = 16;
// Enough to keep every core decoding while the oldest is waited for.
const DECODES_UNDER_WAY = Math.max(4, 2 * availableParallelism());
// One that computes and the next, which is then ready when the first is done.
const BATCHES_UNDER_WAY = 2;

/**
 * Reads, decodes and computes entries, in batches of up to the session's `maxBatch`, in order. The stages overlap, each
 * with a bounded number of images: later files are read and decoded while a batch computes. What cannot be read or
 * decoded is an error in its place.
 */
export async function* computeBatches(
  entries: AsyncIterable<Entry>,
  path: { readonly session: Session; readonly transform: ClassificationTransform },
  clocks: StageClocks,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch, void, undefined> {
  const read = mapOrdered(entries, (entry) => clocks.read.time(1, () => readEntry(entry, signal)), {
    limit: READS_UNDER_WAY,
    signal,
  });
  const decode = (image: Loaded) => clocks.decode.time(1, () => decodeImage(image, path.transform));
  const decoded = mapOrdered(read, decode, { limit: DECODES_UNDER_WAY, signal });
  const groups = groupNeighbours(decoded, path.session.maxBatch, shapeOf);
  const compute = (images: readonly Loaded[]) =>
    clocks.compute.time(images.length, () => computeBatch(images, path.session, signal));
  yield* mapOrdered(groups, compute, { limit: BATCHES_UNDER_WAY, signal });
}

async function readEntry(entry: Entry, signal: AbortSignal | undefined): Promise<Loaded> {
  const { key } = entry;
  try {
    return { key, bytes: await entry.read(signal) };
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof ResNetError) return { key, error };
    // Of an adapter, then: whatever it throws is about this image.
    const { message } = error as Error;
    return { key, error: new ResNetError('FILE', `Cannot read ${key}: ${message}`, { cause: error }) };
  }
}

async function decodeImage(image: Loaded, transform: ClassificationTransform): Promise<Loaded> {
  const { key, bytes } = image;
  if (!bytes) return image;
  try {
    return { key, pixels: await transform(bytes) };
  } catch (error) {
    if (error instanceof ResNetError) return { key, error };
    throw error;
  }
}

function shapeOf({ pixels }: Loaded): string | undefined {
  return pixels && String(pixels.shape);
}

async function computeBatch(
  loaded: readonly Loaded[],
  session: Session,
  signal: AbortSignal | undefined,
): Promise<Batch> {
  const [first, ...rest] = loaded.flatMap(({ pixels }) => pixels ?? []);
  const results = first ? await session.run(stack([first, ...rest]), { signal }) : {};
  return { images: loaded.map(({ key, error }) => ({ key, ...(error && { error }) })), results };
}
