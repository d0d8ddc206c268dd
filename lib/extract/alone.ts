import type { Entry } from '../sources/entry.js';
import { DECODES_UNDER_WAY } from '../tasks/image-path.js';
import type { Pixels } from '../tasks/images.js';
import { mapOrdered } from '../tasks/pipeline.js';
import type { Extraction } from './extraction.js';

/** Images/s of the two stages that use the processor, each with the whole machine to itself. */
export interface AloneRates {
  /** How many images were measured. */
  readonly images: number;
  /** From bytes in memory to pixels. */
  readonly decode: number;
  /** From pixels to features. */
  readonly compute: number;
}

/** What a pipeline can come to where decoding and computing share the processor: the time of both, one after the other. */
export function rateTogether({ decode, compute }: Pick<AloneRates, 'decode' | 'compute'>): number {
  return 1 / (1 / decode + 1 / compute);
}

/**
 * Measures decoding and computing alone, on the first `count` images that can be read. Holds the bytes and the pixels of these images.
 * @returns undefined if no image can be read.
 * @throws what running throws; AbortError.
 */
export async function ratesAlone(
  { path }: Extraction,
  entries: AsyncIterable<Entry>,
  count: number,
  signal?: AbortSignal,
): Promise<AloneRates | undefined> {
  const files: Uint8Array[] = [];
  for await (const entry of entries) {
    const bytes = await entry.read(signal).catch(() => undefined);
    if (bytes && files.push(bytes) === count) break;
  }
  const pixels: Pixels[] = [];
  const decode = (bytes: Uint8Array) => path.pixels(bytes).catch(() => undefined);
  const decodeSeconds = await secondsOf(async () => {
    for await (const image of mapOrdered(files, decode, { limit: DECODES_UNDER_WAY, signal })) {
      if (image) pixels.push(image);
    }
  });
  if (pixels.length === 0) return undefined;
  const read = async (image: Pixels) => image;
  const compute = async (images: readonly Pixels[]) => {
    for await (const _ of path.batches(images, { read, signal, onError: 'throw' }));
  };
  await compute(pixels.slice(0, path.session.maxBatch));
  const computeSeconds = await secondsOf(() => compute(pixels));
  return {
    images: pixels.length,
    decode: files.length / decodeSeconds,
    compute: pixels.length / computeSeconds,
  };
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
