import { ResNetError, throwIfAborted } from '../errors.js';
import type { BatchRunOptions } from '../runtime/batcher.js';
import { DECODES_UNDER_WAY, type ImageOutcome, rowsOf } from '../tasks/image-path.js';
import { type Pixels, stack } from '../tasks/images.js';
import { mapOrdered } from '../tasks/pipeline.js';
import type { ServedModel } from './served-model.js';
import { Slots } from './slots.js';

type Loaded = { readonly pixels: Pixels } | { readonly error: ResNetError };

// Of the process. A picture is decoded whole before it is resized: more at a time would only take more memory.
const decoders = new Slots(DECODES_UNDER_WAY);

// While one batch of a request computes, the next is decoded; more of them would only take more memory.
const BATCHES_UNDER_WAY = 2;

/**
 * Decodes images, brings them into form, and runs them, in batches together with those of other requests. Outcomes are
 * in the order of the images.
 * @throws what `Batcher.run` throws.
 */
export function runImages(
  model: ServedModel,
  images: readonly Uint8Array[],
  options: BatchRunOptions,
): Promise<ImageOutcome[]> {
  const groups = groupsOf(images, model.batcher.maxBatch);
  const run = (group: readonly Uint8Array[]) => runGroup(model, group, options);
  return model.decoding(async () => {
    const outcomes: ImageOutcome[] = [];
    const limits = { limit: BATCHES_UNDER_WAY, signal: options.signal };
    for await (const some of mapOrdered(groups, run, limits)) outcomes.push(...some);
    return outcomes;
  });
}

function* groupsOf<Item>(items: readonly Item[], size: number): Iterable<readonly Item[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size);
}

async function runGroup(
  model: ServedModel,
  images: readonly Uint8Array[],
  options: BatchRunOptions,
): Promise<ImageOutcome[]> {
  const loaded = await Promise.all(images.map((image) => load(model, image, options.signal)));
  const [first, ...rest] = loaded.flatMap((image) => ('pixels' in image ? [image.pixels] : []));
  const results = first ? await model.run(stack([first, ...rest]), options) : {};
  let row = 0;
  return loaded.map((image) => ('error' in image ? image : { rows: rowsOf(results, row++) }));
}

function load(model: ServedModel, image: Uint8Array, signal: AbortSignal | undefined): Promise<Loaded> {
  return decoders.use(async () => {
    throwIfAborted(signal);
    try {
      return { pixels: await model.transform(image) };
    } catch (error) {
      if (isOfImage(error)) return { error };
      throw error;
    }
  });
}

/** Whether it says something of the image; the others of the request then go on. */
function isOfImage(error: unknown): error is ResNetError {
  return error instanceof ResNetError && ['IMAGE_DECODE', 'INVALID_SHAPE'].includes(error.code);
}
