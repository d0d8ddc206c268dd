import type { ResNetError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { resolveNode } from '../graph/names.js';
import { checkInteger, checkOneOf, checkOptions, invalid } from '../is.js';
import { type Compilable, readModel } from '../runtime/compilable.js';
import type { Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import { createImagePath, IMAGE_TASK_OPTIONS, type ImagePath, type ImageTaskOptions } from './image-path.js';
import type { ImageInput } from './images.js';
import { type Prediction, predictionsOf } from './predictions.js';

export interface ClassifierOptions extends ImageTaskOptions {
  /** Class names in the order of the logits. Default: those of the model, else `label: null`. */
  readonly labels?: readonly string[] | undefined;
}

/** In the place of an image that could not be read. */
export interface Failure {
  readonly error: ResNetError;
}

export interface ClassifyOptions {
  /** How many classes an image gets, likeliest first; all where there are fewer. Default 5. */
  readonly topK?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What an image that cannot be read does: reject everything (the default), or give a Failure in its place. */
  readonly onError?: 'throw' | 'return' | undefined;
}

/** Says what images show. Made by `createClassifier`; open until `close()`. */
export class Classifier {
  /** Class names in the order of the logits, where known. */
  readonly labels: readonly string[] | undefined;
  readonly #path: ImagePath;

  constructor(path: ImagePath, labels: readonly string[] | undefined) {
    this.#path = path;
    this.labels = labels;
  }

  get session(): Session {
    return this.#path.session;
  }

  /**
   * The likeliest classes of each image, likeliest first; equal ones in the order of their indices. One entry an image
   * in the order of `items`; a tensor of n images makes n of them.
   * @throws ResNetError `INVALID_ARGUMENT` and `INVALID_SHAPE` for items that are no image input, `INVALID_ARGUMENT` (a
   * URL), `FILE` or `IMAGE_DECODE` for images that cannot be read, and what `session.run` throws.
   */
  classify(
    items: readonly ImageInput[],
    options?: ClassifyOptions & { onError?: 'throw' | undefined },
  ): Promise<Prediction[][]>;
  classify(items: readonly ImageInput[], options: ClassifyOptions): Promise<(Prediction[] | Failure)[]>;
  async classify(items: readonly ImageInput[], options: ClassifyOptions = {}) {
    const results: (Prediction[] | Failure)[] = [];
    for await (const result of this.stream(items, options)) results.push(result);
    return results;
  }

  /** As `classify`, but gives results while later images are still read: a batch's once the next one is on its way. */
  async *stream(
    items: readonly ImageInput[],
    options: ClassifyOptions = {},
  ): AsyncGenerator<Prediction[] | Failure, void, undefined> {
    checkOptions('classify', options, ['topK', 'signal', 'onError']);
    const k = checkInteger('topK', options.topK ?? 5, 1);
    const onError = checkOneOf('onError', options.onError ?? 'throw', ['throw', 'return']);
    for await (const outcome of this.#path.run(items, { signal: options.signal, onError })) {
      yield 'error' in outcome
        ? outcome
        : predictionsOf((outcome.rows.logits as Tensor<Float32Array>).data, this.labels, k);
    }
  }

  /** Runs in flight finish; later calls are refused. */
  close(): Promise<void> {
    return this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Compiles `model` and makes a classifier of it.
 *
 * ```ts
 * const classifier = await createClassifier(model, { device: 'cpu' });
 * const [predictions] = await classifier.classify(['cat.jpg'], { topK: 3 });
 * ```
 * @throws ResNetError `INVALID_ARGUMENT` for labels that are not as many as the classes, and what `compile` throws.
 */
export async function createClassifier(
  model: Compilable,
  options: ClassifierOptions = {},
): Promise<Classifier> {
  checkOptions('createClassifier', options, ['labels', ...IMAGE_TASK_OPTIONS]);
  const { labels, ...rest } = options;
  const read = readModel(model);
  const names = labelsFor(read, labels);
  return new Classifier(await createImagePath(read, { ...rest, outputs: ['logits'] }), names);
}

/** The class names of a model, or those given instead of them. */
export function labelsFor(
  model: Compilable,
  labels: readonly string[] | undefined,
): readonly string[] | undefined {
  const classes = classCount(model.graph);
  if (labels === undefined) {
    // A network whose last layer was replaced no longer has the classes of its weights.
    return classes === undefined || model.categories?.length === classes ? model.categories : undefined;
  }
  if (!Array.isArray(labels) || !labels.every((label) => typeof label === 'string')) {
    throw invalid('labels', 'a list of strings', labels);
  }
  if (classes !== undefined && labels.length !== classes) {
    throw invalid('labels', `${classes} names, one a class`, `${labels.length} names`);
  }
  return Object.freeze([...labels]);
}

/** How many logits there are, where the graph says so. */
function classCount(graph: Graph): number | undefined {
  const name = resolveNode(graph, 'logits');
  const node = graph.nodes.find((candidate) => candidate.name === name);
  return node?.op === 'linear' ? node.outFeatures : undefined;
}
