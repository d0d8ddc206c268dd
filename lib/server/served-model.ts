import { ResNetError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { checkInteger, invalid } from '../is.js';
import { loadModel } from '../models/load.js';
import type { BatchReport } from '../runtime/batch-stats.js';
import { Batcher, type BatcherOptions, type BatchRunOptions } from '../runtime/batcher.js';
import type { Compilable } from '../runtime/compilable.js';
import type { DeviceTurns } from '../runtime/device-turns.js';
import type { RestartEvent } from '../runtime/hosted/hosted-session.js';
import type { Results } from '../runtime/session.js';
import { labelsFor } from '../tasks/classifier.js';
import { type ImageTaskOptions, withTransform } from '../tasks/image-path.js';
import { Tensor } from '../tensor.js';
import type { ClassificationTransform } from '../transforms/index.js';
import { type ModelSession, openSession } from './model-session.js';
import { type Carrier, type OnRun, traced } from './tracing.js';

/** What can be a part of a URL: not "." nor "..", which mean folders. */
export const URL_NAME = /^\w[\w.-]*$/;

// Of an image file: half a gigabyte while it is decoded and resized would be had for a few kilobytes.
const MAX_FILE_PIXELS = 2 ** 26;

/** How a model is served. */
export interface ServedModelOptions
  extends Omit<ImageTaskOptions, 'contexts' | 'decode' | 'device'>,
    Pick<BatcherOptions, 'maxQueue' | 'maxDelayMs'> {
  /** The model, the path that `loadModel` takes, or what loads it: the last two can be loaded again. */
  readonly model: Compilable | string | (() => Promise<Compilable>);
  /** As `compile` takes it; of several devices whichever is free takes what waits. Default `auto`. */
  readonly device?: string | readonly string[] | undefined;
  /** Whether it gets a process of its own on each device. Default: on GPUs, whose faults would end the server's. */
  readonly isolate?: boolean | undefined;
  /** What can be asked for. Default `['logits']`; image embeddings need a feature node, such as `avgpool`. */
  readonly outputs?: readonly string[] | undefined;
  /** Class names in the order of the logits. Default: those of the model. */
  readonly labels?: readonly string[] | undefined;
  /** Default `1`. */
  readonly version?: string | undefined;
  /** The largest image that tensors may hold, in pixels. Default: 4 times the crop, and at least 448 × 448. */
  readonly maxPixels?: number | undefined;
}

/** Who hears of what happens to a model. */
export interface ModelListener {
  /** A batch has run. */
  readonly onBatch: (report: BatchReport) => void;
  /** A device was lost, and its process is started again. */
  readonly onRestart: (event: RestartEvent) => void;
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
    readonly transform: ClassificationTransform,
    readonly maxPixels: number,
    /** One a device, alike but for that. */
    readonly sessions: readonly [ModelSession, ...ModelSession[]],
    readonly maxDelayMs: number,
    batching: BatcherOptions,
  ) {
    this.batcher = new Batcher(sessions, { ...batching, maxDelayMs });
  }

  /**
   * Loads, compiles and warms up a model.
   * @param turns is shared by the models of a server.
   * @throws what `loadModel`, `compile`, `hostSession` and `new Batcher` throw.
   */
  static async open(
    name: string,
    options: ServedModelOptions,
    turns: DeviceTurns,
    { onBatch, onRestart }: ModelListener,
  ): Promise<ServedModel> {
    const { model: source, labels, version = '1', maxQueue, maxDelayMs = 0, maxPixels, ...others } = options;
    if (maxPixels !== undefined) checkInteger('maxPixels', maxPixels, 1);
    if (typeof version !== 'string' || !URL_NAME.test(version))
      throw invalid('version', 'a string of letters, digits, ".", "_" and "-"', version);
    const { device: on = 'auto', transform: wanted, ...compile } = others;
    const model = withTransform(await read(source), boundedTransform(wanted));
    const names = labelsFor(model, labels);
    const { transform } = model;
    const sessions: ModelSession[] = [];
    try {
      for (const device of [on].flat())
        sessions.push(await openSession(model, { ...compile, device, onRestart }));
      const pixels = maxPixels ?? 4 * Math.max(transform.cropSize, 224) ** 2;
      const all = sessions as [ModelSession, ...ModelSession[]];
      const batching = { maxQueue, turns, onBatch };
      const { graph } = model;
      const served = new ServedModel(
        name,
        version,
        graph,
        names,
        transform,
        pixels,
        all,
        maxDelayMs,
        batching,
      );
      await served.#warmUp();
      return served;
    } catch (error) {
      await Promise.all(sessions.map((session) => session.close()));
      throw error;
    }
  }

  /** What it runs on; of several devices the first. */
  get session(): ModelSession {
    return this.sessions[0];
  }

  /** Whether a device is there to answer. */
  get isReady(): boolean {
    return this.sessions.some(({ isReady }) => isReady !== false);
  }

  /**
   * Keeps the model open while `work` is under way, and counts how it ended.
   * @param carrier may hold the client's trace context.
   */
  async use<T>(carrier: Carrier, work: (onRun: OnRun) => Promise<T>): Promise<T> {
    this.#users++;
    const start = performance.now();
    try {
      const attributes = { 'resnet_native.model': this.name, 'resnet_native.version': this.version };
      const result = await traced(`infer ${this.name}`, attributes, carrier, work);
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

  /** Runs `work` with the images of a request, unless as many requests decode images already as may wait and run. */
  async decoding<T>(work: () => Promise<T>): Promise<T> {
    const { maxQueue, maxBatch } = this.batcher;
    if (this.#decoding >= maxQueue + maxBatch) {
      const message = `The images of ${this.#decoding} requests are being decoded already; try again later`;
      throw new ResNetError('QUEUE_FULL', message);
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
    await Promise.all(this.sessions.map((session) => session.close()));
  }

  /** The first runs allocate: nobody should wait for that, and what the memory cannot hold should be known now. */
  async #warmUp(): Promise<void> {
    const { cropSize } = this.transform;
    for (const session of this.sessions) {
      for (const images of [1, this.batcher.maxBatch])
        await session.run(Tensor.allocate([images, cropSize, cropSize, session.channels], 'uint8'));
    }
  }
}

/** What clients send is decoded with less patience than one's own files. */
function boundedTransform(wanted: ServedModelOptions['transform']): ServedModelOptions['transform'] {
  return typeof wanted === 'function' ? wanted : { maxPixels: MAX_FILE_PIXELS, ...wanted };
}

async function read(source: ServedModelOptions['model']): Promise<Compilable> {
  if (typeof source === 'string') return loadModel(source);
  return typeof source === 'function' ? source() : source;
}
