import { availableParallelism } from 'node:os';
import { ResNetError } from '../errors.js';
import { checkOptions, invalid } from '../is.js';
import { type Compilable, readModel } from '../runtime/compilable.js';
import { COMPILE_OPTIONS, type CompileOptions, compileModel } from '../runtime/compile.js';
import type { Results, Session } from '../runtime/session.js';
import { Tensor } from '../tensor.js';
import {
  CLASSIFICATION_OPTIONS,
  type ClassificationOptions,
  type ClassificationTransform,
  classification,
} from '../transforms/classification.js';
import type { ImageTransform } from '../transforms/image-transform.js';
import type { ImageSource } from '../transforms/source.js';
import { eachImage, type ImageInput, type Pixels, stack } from './images.js';
import { groupNeighbours, mapOrdered } from './pipeline.js';

/** Compile's options, but for the outputs, and how images become input. */
export interface ImageTaskOptions extends Omit<CompileOptions, 'outputs'> {
  /** Replaces the model's own transform, or parts of it. */
  readonly transform?: ClassificationOptions | ClassificationTransform | undefined;
}

/** Names of ImageTaskOptions. */
export const IMAGE_TASK_OPTIONS = [...COMPILE_OPTIONS.filter((name) => name !== 'outputs'), 'transform'];

/** What one image came to: its row of each output, by name, or why it could not be read. */
export type ImageOutcome = { readonly rows: Readonly<Results> } | { readonly error: ResNetError };

export interface RunImagesOptions {
  readonly signal?: AbortSignal | undefined;
  /** What an image that cannot be read does: end everything, or be an outcome in its place. */
  readonly onError: 'throw' | 'return';
}

type Loaded = { readonly pixels: Pixels } | { readonly error: ResNetError };

// Enough to keep every core decoding while the oldest is waited for.
const LOADS_UNDER_WAY = Math.max(4, 2 * availableParallelism());
// One that computes and the next, which is then ready when the first is done.
const BATCHES_UNDER_WAY = 2;

/** From images to outputs: what every task on images stands on. */
export class ImagePath {
  constructor(
    readonly session: Session,
    readonly transform: ClassificationTransform,
  ) {}

  /**
   * Runs images through the session, in batches of neighbours of one size. Files are decoded while earlier batches
   * compute; at most two batches and a few decoded images are held. Outcomes come in order, one an image.
   */
  async *run(
    items: readonly ImageInput[],
    { signal, onError }: RunImagesOptions,
  ): AsyncGenerator<ImageOutcome, void, undefined> {
    const { channels, maxBatch } = this.session;
    const load = (image: ImageSource | Pixels) => this.#load(image, onError);
    const loaded = mapOrdered(eachImage(items, channels), load, { limit: LOADS_UNDER_WAY, signal });
    const batches = groupNeighbours(loaded, maxBatch, shapeOf);
    const runBatch = (batch: readonly Loaded[]) => this.#runBatch(batch, signal);
    for await (const outcomes of mapOrdered(batches, runBatch, { limit: BATCHES_UNDER_WAY, signal })) {
      yield* outcomes;
    }
  }

  async #load(image: ImageSource | Pixels, onError: 'throw' | 'return'): Promise<Loaded> {
    try {
      return { pixels: image instanceof Tensor ? image : await this.#transformed(image) };
    } catch (error) {
      if (onError === 'return' && error instanceof ResNetError) return { error };
      throw error;
    }
  }

  async #transformed(image: ImageSource): Promise<Pixels> {
    const pixels: unknown = await this.transform(image);
    const good = pixels instanceof Tensor && pixels.data instanceof Uint8Array && pixels.shape.length === 3;
    if (good && pixels.shape[2] === this.session.channels) return pixels as Pixels;
    const received = pixels instanceof Tensor ? `${pixels.dtype} [${pixels.shape}]` : pixels;
    throw invalid('what the transform gives', `a uint8 Tensor [h, w, ${this.session.channels}]`, received);
  }

  async #runBatch(batch: readonly Loaded[], signal: AbortSignal | undefined): Promise<ImageOutcome[]> {
    const [first, ...rest] = batch.flatMap((image) => ('error' in image ? [] : [image.pixels]));
    const results = first ? await this.session.run(stack([first, ...rest]), { signal }) : {};
    let i = 0;
    return batch.map((image) => ('error' in image ? image : { rows: rowsOf(results, i++) }));
  }
}

function shapeOf(image: Loaded): string | undefined {
  return 'error' in image ? undefined : String(image.pixels.shape);
}

/** Row `i` of every output: views. */
export function rowsOf(results: Results, i: number): Results {
  const rows = Object.entries(results).map(([name, { data, shape }]) => {
    const size = data.length / (shape[0] as number);
    return [name, Tensor.fromFloat32(data.subarray(i * size, (i + 1) * size), shape.slice(1))] as const;
  });
  return Object.fromEntries(rows);
}

/**
 * Compiles `model` for images that are brought into form by its transform.
 * @throws ResNetError `INVALID_ARGUMENT` for a bad transform, and what `compileModel` throws.
 */
export async function createImagePath(
  model: Compilable,
  options: ImageTaskOptions & Pick<CompileOptions, 'outputs'>,
): Promise<ImagePath> {
  const { transform: wanted = {}, ...compileOptions } = options;
  const read = readModel(model);
  const transform = typeof wanted === 'function' ? wanted : classification(changed(read.transform, wanted));
  // Compiled with this transform, because the session is what applies its mean and std.
  const session = await compileModel({ ...read, transform }, compileOptions);
  return new ImagePath(session, transform);
}

/** A model's transform with the parts that are given instead of its own. */
function changed(own: ImageTransform, wanted: ClassificationOptions): ClassificationOptions {
  checkOptions('transform', wanted, CLASSIFICATION_OPTIONS);
  return { ...own, ...wanted };
}
