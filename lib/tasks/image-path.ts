import { availableParallelism } from 'node:os';
import { ResNetError } from '../errors.js';
import { checkOneOf, checkOptions, invalid } from '../is.js';
import { type Compilable, readModel } from '../runtime/compilable.js';
import {
  COMPILE_OPTIONS,
  type CompileOptions,
  compileModel,
  NICENESS_BESIDE_EVENT_LOOP,
} from '../runtime/compile.js';
import type { Results, Session } from '../runtime/session.js';
import { Tensor } from '../tensor.js';
import {
  CLASSIFICATION_OPTIONS,
  type ClassificationOptions,
  type ClassificationTransform,
  classification,
  classificationBy,
  type DecodeJpeg,
} from '../transforms/classification.js';
import { jpegsOn } from '../transforms/device-jpegs.js';
import type { ImageTransform } from '../transforms/image-transform.js';
import type { ImageSource } from '../transforms/source.js';
import { eachImage, type ImageInput, type Pixels, stack } from './images.js';
import { groupNeighbours, mapOrdered } from './pipeline.js';
import { StageClock } from './stage-clock.js';

/** Compile's options, but for the outputs, and how images become input. */
export interface ImageTaskOptions extends Omit<CompileOptions, 'outputs'> {
  /** Replaces the model's own transform, or parts of it. */
  readonly transform?: ClassificationOptions | ClassificationTransform | undefined;
  /**
   * Where plain JPEGs are decoded and resized. `host` (the default): as Pillow does, byte for byte. `device`: by nvJPEG on
   * the session's GPU, whose pixels differ by a few levels; what it cannot decode, the host does. Not with a `transform`
   * that is a function. How exactly they are decoded on the host is `transform: { decode: 'exact' | 'fast' }`.
   */
  readonly decode?: (typeof DECODE)[number] | undefined;
}

const DECODE = ['host', 'device'] as const;

/** Names of ImageTaskOptions. */
export const IMAGE_TASK_OPTIONS = [
  ...COMPILE_OPTIONS.filter((name) => name !== 'outputs'),
  'transform',
  'decode',
];

/** What one image came to: its row of each output, by name, or why it could not be read. */
export type ImageOutcome = { readonly rows: Readonly<Results> } | { readonly error: ResNetError };

export interface RunImagesOptions {
  readonly signal?: AbortSignal | undefined;
  /** What an image that cannot be read does: end everything, or be an outcome in its place. */
  readonly onError: 'throw' | 'return';
}

/** Where the time goes. */
export type PathClocks = Readonly<Record<'read' | 'decode' | 'compute', StageClock>>;

export interface RunBatchesOptions<Item> extends RunImagesOptions {
  /** The image of an item. Any ResNetError it throws is about that image. */
  readonly read: (item: Item, signal?: AbortSignal) => Promise<ImageSource | Pixels>;
  readonly clocks?: PathClocks;
}

/** Neighbours that were computed together. */
export interface Batch<Item> {
  /** In order; those with an error have no row. */
  readonly images: readonly { readonly item: Item; readonly error?: ResNetError }[];
  /** A row for every image without an error, by output; {} if there is none. */
  readonly results: Results;
}

interface Loaded<Item> {
  readonly item: Item;
  readonly source?: ImageSource | Pixels;
  readonly pixels?: Pixels;
  readonly error?: ResNetError;
}

const READS_UNDER_WAY = 16;
// Enough to keep every core decoding while the oldest is waited for.
export const DECODES_UNDER_WAY = Math.max(4, 2 * availableParallelism());
// One that computes and the next, which is then ready when the first is done.
const BATCHES_UNDER_WAY = 2;

/** From images to outputs: what every task on images stands on. */
export class ImagePath {
  constructor(
    readonly session: Session,
    readonly transform: ClassificationTransform,
  ) {}

  /** Runs images that are at hand through the session. Outcomes come in order, one an image. */
  async *run(
    items: readonly ImageInput[],
    options: RunImagesOptions,
  ): AsyncGenerator<ImageOutcome, void, undefined> {
    const read = async (image: ImageSource | Pixels) => image;
    const images = eachImage(items, this.session.channels);
    for await (const batch of this.batches(images, { ...options, read })) {
      let row = 0;
      for (const { error } of batch.images) yield error ? { error } : { rows: rowsOf(batch.results, row++) };
    }
  }

  /**
   * Reads, decodes and computes images, in batches of neighbours of one size, in order. The stages overlap, each with a
   * bounded number of images: later files are read and decoded while a batch computes.
   */
  batches<Item>(
    items: Iterable<Item> | AsyncIterable<Item>,
    options: RunBatchesOptions<Item>,
  ): AsyncGenerator<Batch<Item>, void, undefined> {
    const { read, signal, onError, clocks = newClocks() } = options;
    /** One stage of one image, which may go wrong with it. */
    const step = (image: Loaded<Item>, clock: StageClock, work: () => Promise<Partial<Loaded<Item>>>) =>
      clock.time(1, async (): Promise<Loaded<Item>> => {
        try {
          return { ...image, ...(await work()) };
        } catch (error) {
          if (onError === 'return' && error instanceof ResNetError) return { item: image.item, error };
          throw error;
        }
      });
    const readItem = (item: Item) =>
      step({ item }, clocks.read, async () => ({ source: await read(item, signal) }));
    const decode = async (image: Loaded<Item>) => {
      const { source } = image;
      if (source === undefined) return image;
      return step({ item: image.item }, clocks.decode, async () => ({ pixels: await this.pixels(source) }));
    };
    const compute = (images: readonly Loaded<Item>[]) =>
      clocks.compute.time(images.length, () => this.#compute(images, signal));
    const sources = mapOrdered(items, readItem, { limit: READS_UNDER_WAY, signal });
    const decoded = mapOrdered(sources, decode, { limit: DECODES_UNDER_WAY, signal });
    const groups = groupNeighbours(decoded, this.session.maxBatch, shapeOf);
    return mapOrdered(groups, compute, { limit: BATCHES_UNDER_WAY, signal });
  }

  /**
   * An image as the session takes it.
   * @throws ResNetError as the transform, and `INVALID_ARGUMENT` for a transform that gives something else.
   */
  async pixels(image: ImageSource | Pixels): Promise<Pixels> {
    if (image instanceof Tensor) return image;
    const pixels: unknown = await this.transform(image);
    const good = pixels instanceof Tensor && pixels.data instanceof Uint8Array && pixels.shape.length === 3;
    if (good && pixels.shape[2] === this.session.channels) return pixels as Pixels;
    const received = pixels instanceof Tensor ? `${pixels.dtype} [${pixels.shape}]` : pixels;
    throw invalid('what the transform gives', `a uint8 Tensor [h, w, ${this.session.channels}]`, received);
  }

  async #compute<Item>(
    loaded: readonly Loaded<Item>[],
    signal: AbortSignal | undefined,
  ): Promise<Batch<Item>> {
    const [first, ...rest] = loaded.flatMap(({ pixels }) => pixels ?? []);
    const results = first ? await this.session.run(stack([first, ...rest]), { signal }) : {};
    return { images: loaded.map(({ item, error }) => ({ item, ...(error && { error }) })), results };
  }
}

function newClocks(): PathClocks {
  return { read: new StageClock(), decode: new StageClock(), compute: new StageClock() };
}

function shapeOf({ pixels }: { readonly pixels?: Pixels }): string | undefined {
  return pixels && String(pixels.shape);
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
 * @throws ResNetError `INVALID_ARGUMENT` for a bad transform; for `decode: 'device'`, `UNSUPPORTED` where the session is not
 * on a GPU and `DEVICE_UNAVAILABLE` where nvJPEG is missing; and what `compileModel` throws.
 */
export async function createImagePath(
  model: Compilable,
  options: ImageTaskOptions & Pick<CompileOptions, 'outputs'>,
): Promise<ImagePath> {
  const { transform: wanted, decode = 'host', niceness = NICENESS_BESIDE_EVENT_LOOP, ...others } = options;
  checkDecode(decode);
  if (decode === 'device' && typeof wanted === 'function') {
    throw invalid('transform', "options, with `decode: 'device'`, and no function", wanted);
  }
  let onDevice: DecodeJpeg | undefined;
  const make =
    decode === 'host'
      ? classification
      : (settings: ClassificationOptions) => classificationBy(() => onDevice, settings);
  const read = withTransform(model, wanted, make);
  const session = await compileModel(read, { ...others, niceness });
  try {
    if (decode === 'device') onDevice = await jpegsOn(session.device.split(',')[0] as string);
  } catch (error) {
    await session.close();
    throw error;
  }
  return new ImagePath(session, read.transform);
}

function checkDecode(place: unknown): void {
  if (place !== 'exact' && place !== 'fast') checkOneOf('decode', place, DECODE);
  else throw invalid('decode', `"host" or "device" (or \`transform: { decode: "${place}" }\`)`, place);
}

/**
 * A model to be compiled with the transform that is wanted, because the session is what applies its mean and std.
 * @throws ResNetError `INVALID_ARGUMENT`.
 */
export function withTransform(
  model: Compilable,
  wanted: ImageTaskOptions['transform'] = {},
  make: (settings: ClassificationOptions) => ClassificationTransform = classification,
): Compilable & { readonly transform: ClassificationTransform } {
  const read = readModel(model);
  const transform = typeof wanted === 'function' ? wanted : make(changed(read.transform, wanted));
  return { ...read, transform };
}

/** A model's transform with the parts that are given instead of its own. */
function changed(own: ImageTransform, wanted: ClassificationOptions): ClassificationOptions {
  checkOptions('transform', wanted, CLASSIFICATION_OPTIONS);
  return { ...own, ...wanted };
}
