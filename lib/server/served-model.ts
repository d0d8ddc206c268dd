import { ResNetError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { loadModel } from '../models/load.js';
import type { BatchReport } from '../runtime/batch-stats.js';
import { Batcher, type BatcherOptions, type BatchRunOptions } from '../runtime/batcher.js';
import type { Compilable } from '../runtime/compilable.js';
import type { Results, Session } from '../runtime/session.js';
import { labelsFor } from '../tasks/classifier.js';
import { createImagePath, type ImagePath, type ImageTaskOptions } from '../tasks/image-path.js';
import { Tensor } from '../tensor.js';
import type { ClassificationTransform } from '../transforms/index.js';

/** How a model is served. */
export interface ServedModelOptions
  extends ImageTaskOptions,
    Pick<BatcherOptions, 'maxQueue' | 'maxDelayMs'> {
  /** The model, or the path that `loadModel` takes: a path can be loaded again. */
  readonly model: Compilable | string;
  /** What can be asked for. Default `['logits']`; image embeddings need a feature node, such as `avgpool`. */
  readonly outputs?: readonly string[] | undefined;
  /** Class names in the order of the logits. Default: those of the model. */
  readonly labels?: readonly string[] | undefined;
  /** Default `1`. */
  readonly version?: string | undefined;
  /** The largest image that tensors may hold, in pixels. Default: 4 times the crop, and at least 448 × 448. */
  readonly maxPixels?: number | undefined;
}

/** What happened to requests for a model, whatever way they came. Times in milliseconds. */
export interface RequestStats {
  succeeded: number;
  succeededMs: number;
  failed: number;
  failedMs: number;
  /** Milliseconds since 1970. */
  lastInference: number;
}

/** A model that is compiled, warm, and batches what it is asked. */
export class ServedModel {
  readonly requests: RequestStats = {
    succeeded: 0,
    succeededMs: 0,
    failed: 0,
    failedMs: 0,
    lastInference: 0,
  };
  readonly batcher: Batcher;
  #users = 0;
  #decoding = 0;
  #unused: (() => void) | undefined;

  private constructor(
    readonly name: string,
    readonly version: string,
    readonly graph: Graph,
    readonly labels: readonly string[] | undefined,
    readonly maxPixels: number,
    readonly maxDelayMs: number,
    private readonly path: ImagePath,
    batching: BatcherOptions,
  ) {
    this.batcher = new Batcher(path.session, batching);
  }

  /**
   * Loads, compiles and warms up a model.
   * @param onBatch is told of every batch that has run.
   * @throws what `loadModel`, `compile` and `new Batcher` throw.
   */
  static async open(
    name: string,
    options: ServedModelOptions,
    onBatch: (report: BatchReport) => void,
  ): Promise<ServedModel> {
    const { model: source, labels, version = '1', maxQueue, maxDelayMs = 0, maxPixels, ...rest } = options;
    const model = typeof source === 'string' ? await loadModel(source) : source;
    const names = labelsFor(model, labels);
    const path = await createImagePath(model, rest);
    try {
      const pixels = maxPixels ?? 4 * Math.max(path.transform.cropSize, 224) ** 2;
      const batching = { maxQueue, maxDelayMs, onBatch };
      const served = new ServedModel(name, version, model.graph, names, pixels, maxDelayMs, path, batching);
      await served.#warmUp();
      return served;
    } catch (error) {
      await path.session.close();
      throw error;
    }
  }

  get session(): Session {
    return this.path.session;
  }

  get transform(): ClassificationTransform {
    return this.path.transform;
  }

  /** Keeps the model open while `work` is under way, and counts how it ended. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    this.#users++;
    const start = performance.now();
    try {
      const result = await work();
      this.requests.succeeded++;
      this.requests.succeededMs += performance.now() - start;
      this.requests.lastInference = Date.now();
      return result;
    } catch (error) {
      this.requests.failed++;
      this.requests.failedMs += performance.now() - start;
      throw error;
    } finally {
      this.#users--;
      if (this.#users === 0) this.#unused?.();
    }
  }

  /** As `Batcher.run`, but refuses images of too many pixels: any size would do for the network, not for the memory. */
  async run(input: Tensor, options: BatchRunOptions): Promise<Results> {
    const [, a = 0, b = 0, c = 0] = input.shape;
    const [h, w] = input.layout === 'NHWC' ? [a, b] : [b, c];
    if (h * w > this.maxPixels) {
      throw new ResNetError(
        'INVALID_SHAPE',
        `Expected images of at most ${this.maxPixels} pixels but received ${h}x${w}`,
      );
    }
    return this.batcher.run(input, options);
  }

  /** Runs `work` unless as many images are being decoded as may wait: they are large, and all would be in memory. */
  async decoding<T>(work: () => Promise<T>): Promise<T> {
    const { maxQueue, maxBatch } = this.batcher;
    if (this.#decoding >= maxQueue + maxBatch) {
      throw new ResNetError(
        'QUEUE_FULL',
        `${this.#decoding} images are being decoded already; try again later`,
      );
    }
    this.#decoding++;
    try {
      return await work();
    } finally {
      this.#decoding--;
    }
  }

  /** Waits until nobody uses the model, and frees it. */
  async close(): Promise<void> {
    if (this.#users > 0) await new Promise<void>((resolve) => (this.#unused = resolve));
    await this.batcher.close();
    await this.session.close();
  }

  /** The first run allocates: nobody should wait for that. */
  async #warmUp(): Promise<void> {
    const { cropSize } = this.transform;
    const shape = [1, cropSize, cropSize, this.session.channels];
    await this.session.run(Tensor.allocate(shape, 'uint8'));
  }
}
