import { AbortError, ResNetError } from '../errors.js';
import { checkOptions, invalid } from '../is.js';
import { onAbort } from '../on-abort.js';
import { Tensor } from '../tensor.js';
import { type BatchInput, checkBatch } from './batch-input.js';
import type { NativeSession, NativeStep } from './native.js';

export interface RunOptions {
  /** Aborts the run: at once while it waits, else before its next step. */
  readonly signal?: AbortSignal | undefined;
}

/** The results of a run by the names that were asked for. */
export type Results = Record<string, Tensor<Float32Array>>;

/** One step of a plan: a node after fusion, and the kernel chosen for it. */
export type PlanStep = NativeStep;

/** A step with the time it took. */
export interface StepProfile extends PlanStep {
  readonly ms: number;
}

/** What travels with a native session, so that whoever attaches knows what it is. Written and read by this package. */
export interface SessionDescription {
  readonly device: string;
  readonly deviceReason: string;
  readonly dtype: string;
  readonly maxBatch: number;
  /** On all its devices. */
  readonly contexts: number;
  /** Of the images. */
  readonly channels: number;
  /** The names asked for, each with its place among the graph's outputs. */
  readonly outputs: readonly (readonly [name: string, index: number])[];
}

/**
 * A model compiled for a device. Runs may overlap: they are computed in the order of their submission, as many at once
 * as there are contexts, and never on the JavaScript thread. An open session does not keep the process alive; a run
 * under way does.
 */
export class Session {
  readonly #native: NativeSession;
  readonly #description: SessionDescription;
  #lastRun = 0;
  #closed: Promise<void> | undefined;

  /** Sessions come from `model.compile` and `attachSession`. */
  constructor(native: NativeSession) {
    this.#native = native;
    this.#description = JSON.parse(native.description) as SessionDescription;
  }

  /** Where it runs: `cpu`, `cuda:0`; several GPUs as `cuda:0,cuda:1`. */
  get device(): string {
    return this.#description.device;
  }

  /** Why that device was taken, if `auto` was asked for; else empty. */
  get deviceReason(): string {
    return this.#description.deviceReason;
  }

  /** What it computes in. */
  get dtype(): string {
    return this.#description.dtype;
  }

  /** The largest batch that `run` takes. */
  get maxBatch(): number {
    return this.#description.maxBatch;
  }

  /** How many runs it computes at once. */
  get contexts(): number {
    return this.#description.contexts;
  }

  /** Channels of the images that `run` takes. */
  get channels(): number {
    return this.#description.channels;
  }

  /** The names that results are keyed by, as they were asked for. */
  get outputs(): readonly string[] {
    return this.#description.outputs.map(([name]) => name);
  }

  /** The steps of the compiled network, in order. */
  get plan(): readonly PlanStep[] {
    return this.#native.plan;
  }

  /** Can be posted to a worker thread of this process, where `attachSession` takes it while the session is open. */
  get handle(): bigint {
    return this.#native.handle;
  }

  /**
   * Runs a batch: uint8 [n, h, w, c], which is normalised as the model's transform says but never resized, or float32,
   * taken as already normalised, [n, c, h, w] or [n, h, w, c] as the tensor's layout says. Its images may be in several
   * tensors that are alike but for n. The data is copied before `run` returns, unless it is memory of `Tensor.allocate`.
   * @returns float32 tensors by output name, NCHW, with torch's shapes: `avgpool` [n, c, 1, 1], `logits` [n, classes].
   * @throws ResNetError `INVALID_ARGUMENT`, `INVALID_SHAPE`, `SESSION_CLOSED`, `OUT_OF_MEMORY`, `DEVICE_LOST`;
   * AbortError.
   */
  async run(input: BatchInput, options: RunOptions = {}): Promise<Results> {
    const batch = checkBatch(input, this);
    const outputs = await this.#start('run', options, (id) => this.#native.run(id, batch));
    const tensors = outputs.map(({ data, shape }) => Tensor.fromFloat32(data, shape));
    return Object.fromEntries(
      this.#description.outputs.map(([name, index]) => [name, tensors[index] as Tensor<Float32Array>]),
    );
  }

  /**
   * Runs a batch and tells the milliseconds of each step. Steps are timed one by one, so their sum is a little more than
   * a run takes. Throws what `run` throws.
   */
  async profile(input: BatchInput, options: RunOptions = {}): Promise<StepProfile[]> {
    const batch = checkBatch(input, this);
    const times = await this.#start('profile', options, (id) => this.#native.profile(id, batch));
    return this.plan.map((step, i) => ({ ...step, ms: times[i] ?? 0 }));
  }

  /** Takes no more runs, waits for those under way, and frees what the session holds. Any number of times. */
  close(): Promise<void> {
    this.#closed ??= this.#native.close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start<T>(call: string, options: RunOptions, start: (id: number) => Promise<T>): Promise<T> {
    checkOptions(call, options, ['signal']);
    const { signal } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw invalid('signal', 'an AbortSignal', signal);
    }
    if (this.#closed)
      throw new ResNetError(
        'SESSION_CLOSED',
        'The session is closed: it takes no more runs; compile the model again',
      );
    if (signal?.aborted) throw new AbortError(signal.reason);
    const id = ++this.#lastRun;
    const forget = onAbort(signal, () => this.#native.cancel(id));
    try {
      return await start(id);
    } catch (error) {
      throw error instanceof AbortError ? new AbortError(signal?.reason) : error;
    } finally {
      forget();
    }
  }
}
