import { ResNetError } from '../errors.js';
import type { BatchRunOptions } from '../runtime/batcher.js';
import type { Results } from '../runtime/session.js';
import { type ImageOutcome, rowsOf } from '../tasks/image-path.js';
import { type Pixels, stack } from '../tasks/images.js';
import type { ServedModel } from './served-model.js';

type Loaded = { readonly pixels: Pixels } | { readonly error: ResNetError };

/**
 * Decodes images, brings them into form, and runs them, in batches together with those of other requests. Outcomes are
 * in the order of the images.
 * @throws what `Batcher.run` throws.
 */
export async function runImages(
  model: ServedModel,
  images: readonly Uint8Array[],
  options: BatchRunOptions,
): Promise<ImageOutcome[]> {
  const loaded = await Promise.all(images.map((image) => model.decoding(() => load(model, image))));
  const good = loaded.flatMap((image) => ('pixels' in image ? [image.pixels] : []));
  const { maxBatch } = model.batcher;
  const batches: Promise<Results>[] = [];
  for (let i = 0; i < good.length; i += maxBatch) {
    const [first, ...rest] = good.slice(i, i + maxBatch) as [Pixels, ...Pixels[]];
    batches.push(model.run(stack([first, ...rest]), options));
  }
  const results = await Promise.all(batches);
  let next = 0;
  return loaded.map((image) => {
    if ('error' in image) return image;
    const row = next++;
    return { rows: rowsOf(results[Math.floor(row / maxBatch)] as Results, row % maxBatch) };
  });
}

async function load(model: ServedModel, image: Uint8Array): Promise<Loaded> {
  try {
    return { pixels: await model.transform(image) };
  } catch (error) {
    if (error instanceof ResNetError && error.code === 'IMAGE_DECODE') return { error };
    throw error;
  }
}
