import { ResNetError } from '../errors.js';
import { resolveNode } from '../graph/names.js';
import { checkOneOf, checkOptions, invalid, show } from '../is.js';
import { type Compilable, readModel } from '../runtime/compilable.js';
import type { Results, Session } from '../runtime/session.js';
import { shapeSize } from '../shape.js';
import { readEntry } from '../sources/entry.js';
import { type ExtractInputs, inputEntries } from '../sources/inputs.js';
import { Tensor } from '../tensor.js';
import {
  createImagePath,
  IMAGE_TASK_OPTIONS,
  type ImagePath,
  type ImageTaskOptions,
  rowsOf,
} from './image-path.js';
import { eachImage, type ImageInput } from './images.js';

export interface FeatureExtractorOptions extends ImageTaskOptions {
  /** Nodes to extract, by the names of `graphNodeNames` or of modules (`layer3`). */
  readonly outputs: readonly string[];
}

export interface ExtractOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Features by the name asked for. The first dimension is the images. */
export type Features = Record<string, Tensor<Float32Array>>;

export interface StreamOptions extends ExtractOptions {
  /** What an image that cannot be read does: end the stream (the default), or give its error in its place. */
  readonly onError?: 'throw' | 'return' | undefined;
}

/** An image of a stream. */
export interface KeyedFeatures {
  /** The path of the file as the source gives it; of a tar's member, the tar's with the member's name behind it. */
  readonly key: string;
  /** By the name asked for, without a dimension for the images; {} when there is an error. */
  readonly features: Features;
  /** Only with `onError: 'return'`. */
  readonly error?: ResNetError;
}

/** Computes inner features of images. Made by `createFeatureExtractor`; open until `close()`. */
export class FeatureExtractor {
  readonly #path: ImagePath;
  /** Outputs that are one value a channel, [C, 1, 1], and become rows of C. */
  readonly #pooled: ReadonlySet<string>;

  constructor(path: ImagePath, pooled: ReadonlySet<string>) {
    this.#path = path;
    this.#pooled = pooled;
  }

  get session(): Session {
    return this.#path.session;
  }

  /**
   * The features of all images, in their order: for each output a tensor [n, ...], NCHW; pooled ones (`avgpool`) [n, C].
   * A tensor of n images counts as n of them; no images give no features, {}.
   * @throws ResNetError `INVALID_ARGUMENT` and `INVALID_SHAPE` for items that are no image input, or of sizes that give
   * features of different shapes; `INVALID_ARGUMENT` (a URL), `FILE` or `IMAGE_DECODE` for images that cannot be read;
   * `OUT_OF_MEMORY` for more features than fit in memory: `stream` and `extractFeatures` hold few at a time; and what
   * `session.run` throws.
   */
  async extract(items: readonly ImageInput[], options: ExtractOptions = {}): Promise<Features> {
    checkOptions('extract', options, ['signal']);
    const count = eachImage(items, this.session.channels).length;
    const features: Features = {};
    let row = 0;
    const { signal } = options;
    for await (const outcome of this.#path.run(items, { signal, onError: 'throw' })) {
      if ('error' in outcome) throw outcome.error;
      for (const [name, value] of Object.entries(outcome.rows)) {
        const shape = this.#rowShape(name, value.shape);
        features[name] ??= emptyRows(name, count, shape);
        setRow(features[name], row, shape, value.data, name);
      }
      row++;
    }
    return features;
  }

  /**
   * The features of any number of images, one after the other, in the order of `source`: paths of files, folders, globs,
   * `.tar` shards and `@list` files, or adapters. Reading and decoding work ahead of computing, and all of them wait
   * when nobody takes results: a bounded number of images is held.
   *
   * ```ts
   * for await (const { key, features } of extractor.stream('photos')) index.add(key, features.avgpool.data);
   * ```
   * @throws ResNetError `INVALID_ARGUMENT` for what is no source, `FILE` for a source that is not there, an image's own
   * error unless `onError: 'return'`, and what `session.run` throws; AbortError.
   */
  async *stream(
    source: ExtractInputs,
    options: StreamOptions = {},
  ): AsyncGenerator<KeyedFeatures, void, undefined> {
    checkOptions('stream', options, ['signal', 'onError']);
    const { signal, onError = 'throw' } = options;
    checkOneOf('onError', onError, ['throw', 'return']);
    const entries = inputEntries(source, signal);
    for await (const batch of this.#path.batches(entries, { read: readEntry, signal, onError: 'return' })) {
      let row = 0;
      for (const { item, error } of batch.images) {
        const { key } = item;
        if (error && onError === 'throw') throw error;
        yield error ? { key, features: {}, error } : { key, features: this.#features(batch.results, row++) };
      }
    }
  }

  #features(results: Results, row: number): Features {
    const rows = Object.entries(rowsOf(results, row)).map(([name, { data, shape }]) => [
      name,
      Tensor.fromFloat32(data, this.#rowShape(name, shape)),
    ]);
    return Object.fromEntries(rows);
  }

  #rowShape(name: string, shape: readonly number[]): readonly number[] {
    return this.#pooled.has(name) ? shape.slice(0, 1) : shape;
  }

  /** Runs in flight finish; later calls are refused. */
  close(): Promise<void> {
    return this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function emptyRows(name: string, count: number, row: readonly number[]): Tensor<Float32Array> {
  const shape = [count, ...row];
  let data: Float32Array;
  try {
    data = new Float32Array(shapeSize(shape));
  } catch (cause) {
    throw new ResNetError(
      'OUT_OF_MEMORY',
      `The features of ${name} for all images, ${show(shape)} float32 values, do not fit in memory: extract in ` +
        'smaller lists, or use extractor.stream or extractFeatures',
      { cause },
    );
  }
  return Tensor.fromFloat32(data, shape);
}

function setRow(
  rows: Tensor<Float32Array>,
  i: number,
  shape: readonly number[],
  data: Float32Array,
  name: string,
): void {
  if (String(rows.shape.slice(1)) !== String(shape)) {
    const expected = `the features of ${name} to be ${show(rows.shape.slice(1))} for all images`;
    const advice = 'extract images of different sizes separately';
    throw new ResNetError(
      'INVALID_SHAPE',
      `Expected ${expected}, but image ${i} gives ${show(shape)}; ${advice}`,
    );
  }
  rows.data.set(data, i * data.length);
}

/**
 * Compiles `model` up to the last of `outputs` and makes a feature extractor of it; layers behind are not run.
 *
 * ```ts
 * const extractor = await createFeatureExtractor(model, { outputs: ['layer3', 'avgpool'] });
 * const { avgpool } = await extractor.extract(['a.jpg', 'b.jpg']); // [2, 2048]
 * ```
 * @throws ResNetError `UNKNOWN_NODE` for an output that is not there, and what `compile` throws.
 */
export async function createFeatureExtractor(
  model: Compilable,
  options: FeatureExtractorOptions,
): Promise<FeatureExtractor> {
  checkOptions('createFeatureExtractor', options, ['outputs', ...IMAGE_TASK_OPTIONS]);
  // compile would take none to mean the logits, which is hardly what an extractor is asked for.
  if (options.outputs === undefined) throw invalid('outputs', 'a list of node names', undefined);
  const read = readModel(model);
  const path = await createImagePath(read, options);
  const { graph } = read;
  const pooled = options.outputs.filter((output) => {
    const name = resolveNode(graph, output);
    return graph.nodes.find((node) => node.name === name)?.op === 'global_avg_pool';
  });
  return new FeatureExtractor(path, new Set(pooled));
}
