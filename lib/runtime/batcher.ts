import { AbortError, ResNetError } from '../errors.js';
import { checkInteger, invalid } from '../is.js';
import { Tensor } from '../tensor.js';
import { checkBatch } from './batch-input.js';
import { BatchMemory } from './batch-memory.js';
import { type BatcherStats, type BatchReport, type Outcomes, StatsRecorder } from './batch-stats.js';
import { LaneQueue, rowsOf } from './lane-queue.js';
import type { Results, Session } from './session.js';

export interface BatcherOptions {
  /** The most images that run together. Default: what the session takes. */
  readonly maxBatch?: number | undefined;
  /** The most requests that may wait. Default 256. */
  readonly maxQueue?: number | undefined;
  /** How long a request may wait for others to fill its batch while a context is free. Default 0: not at all. */
  readonly maxDelayMs?: number | undefined;
  /** How many batches run at once. Default: the contexts that a session of that device has, CPU 1 and CUDA 2. */
  readonly contexts?: number | undefined;
  /** Is told of every batch that has run, after its requests are answered. */
  readonly onBatch?: ((report: BatchReport) => void) | undefined;
}

export interface BatchRunOptions {
  /** Aborts the request, whether it waits or runs. */
  readonly signal?: AbortSignal | undefined;
  /** Requests of a larger number go first. Default 0. */
  readonly priority?: number | undefined;
  /** Milliseconds from now after which nobody needs the result. Default: none. */
  readonly deadlineMs?: number | undefined;
}

/** What a batcher needs of a session. */
export type BatchSession = Pick<Session, 'run' | 'maxBatch' | 'channels' | 'device'>;

interface Request {
  readonly tensor: Tensor;
  readonly lane: string;
  readonly rows: number;
  readonly priority: number;
  readonly since: number;
  readonly resolve: (results: Results) => void;
  readonly reject: (error: unknown) => void;
  /** Ends the timer and the listener. */
  release: () => void;
  batch: Batch | undefined;
}

interface Batch {
  readonly requests: Request[];
  /** Requests whose results somebody still waits for. */
  readonly waiting: Set<Request>;
  readonly controller: AbortController;
  readonly started: number;
}

// Node's timers take no longer ones.
const MAX_MS = 2 ** 31 - 1;

/**
 * Runs many small requests as few large batches. A free execution context takes at once what waits, up to `maxBatch`
 * images; while all are busy, requests gather. Requests made in one turn of the event loop are gathered too. Requests
 * of different image sizes, types or layouts never share a batch.
 */
export class Batcher {
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly #session: BatchSession;
  readonly #maxDelayMs: number;
  readonly #contexts: number;
  readonly #onBatch: (report: BatchReport) => void;
  readonly #queue = new LaneQueue<Request>();
  readonly #stats = new StatsRecorder();
  readonly #memory: BatchMemory;
  readonly #running = new Set<Batch>();
  #dispatchPlanned = false;
  #delayTimer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #closed: () => void = () => undefined;

  /**
   * The session stays the caller's: close it after the batcher.
   * @throws ResNetError `INVALID_ARGUMENT`.
   */
  constructor(session: BatchSession, options: BatcherOptions = {}) {
    if (typeof session?.run !== 'function') throw invalid('session', 'a session', session);
    const { maxBatch = session.maxBatch, maxQueue = 256, maxDelayMs = 0, onBatch } = options;
    const contexts = options.contexts ?? (session.device.startsWith('cuda') ? 2 : 1);
    this.#session = session;
    this.maxBatch = checkInteger('maxBatch', maxBatch, 1, session.maxBatch);
    this.maxQueue = checkInteger('maxQueue', maxQueue, 1);
    this.#maxDelayMs = checkMs('maxDelayMs', maxDelayMs, 0);
    this.#contexts = checkInteger('contexts', contexts, 1);
    if (onBatch !== undefined && typeof onBatch !== 'function')
      throw invalid('onBatch', 'a function', onBatch);
    this.#onBatch = onBatch ?? (() => undefined);
    this.#memory = new BatchMemory(this.#contexts);
  }

  /**
   * Runs a batch of images, as `session.run` takes them, together with others. The tensor is read when its batch starts:
   * leave it unchanged until the promise settles.
   * @returns the results for these images alone, in memory of their own.
   * @throws ResNetError `QUEUE_FULL`, `DEADLINE_EXCEEDED`, `SESSION_CLOSED` after `close()`, and what `session.run`
   * throws; AbortError.
   */
  async run(tensor: Tensor, options: BatchRunOptions = {}): Promise<Results> {
    const { n, h, w } = checkBatch(tensor, { channels: this.#session.channels, maxBatch: this.maxBatch });
    const { signal, priority = 0, deadlineMs } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalid('signal', 'an AbortSignal', signal);
    if (!Number.isFinite(priority)) throw invalid('priority', 'a finite number', priority);
    if (deadlineMs !== undefined) checkMs('deadlineMs', deadlineMs, Number.MIN_VALUE);
    if (this.#closing)
      throw new ResNetError('SESSION_CLOSED', 'The batcher is closed: it takes no more requests');
    if (signal?.aborted) throw new AbortError(signal.reason);
    if (this.#queue.size >= this.maxQueue) {
      this.#stats.count('refused');
      throw new ResNetError('QUEUE_FULL', `${this.maxQueue} requests are waiting already; try again later`);
    }
    const lane = `${tensor.dtype} ${tensor.layout} ${h}x${w}`;
    return new Promise<Results>((resolve, reject) => {
      const since = performance.now();
      const settlers = { resolve, reject, release: () => undefined, batch: undefined };
      const request: Request = { tensor, lane, rows: n, priority, since, ...settlers };
      request.release = this.#watch(request, signal, deadlineMs);
      this.#queue.add(request);
      this.#planDispatch();
    });
  }

  /** What it has done so far and does now. */
  stats(): BatcherStats {
    return { queued: this.#queue.size, running: this.#running.size, ...this.#stats.read() };
  }

  /** Takes no more requests, and resolves when those that it has are answered. Any number of times. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve;
      this.#planDispatch();
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Gives the request up at its deadline or when its signal aborts; returns what ends the watch. */
  #watch(request: Request, signal: AbortSignal | undefined, deadlineMs: number | undefined): () => void {
    const cancel = () => this.#giveUp(request, 'cancelled', new AbortError(signal?.reason));
    const expire = () => {
      const message = `The result was not there within ${deadlineMs} ms`;
      this.#giveUp(request, 'expired', new ResNetError('DEADLINE_EXCEEDED', message));
    };
    const timer = deadlineMs === undefined ? undefined : setTimeout(expire, deadlineMs);
    signal?.addEventListener('abort', cancel, { once: true });
    return () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
  }

  #giveUp(request: Request, outcome: keyof Outcomes, error: Error): void {
    request.release();
    this.#stats.count(outcome);
    const { batch } = request;
    if (batch) {
      batch.waiting.delete(request);
      if (batch.waiting.size === 0) batch.controller.abort();
    } else {
      this.#queue.remove(request);
      this.#planDispatch();
    }
    request.reject(error);
  }

  /** After all input of this turn of the event loop has been read, so that requests that came together run together. */
  #planDispatch(): void {
    if (this.#dispatchPlanned) return;
    this.#dispatchPlanned = true;
    setImmediate(() => {
      this.#dispatchPlanned = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#running.size < this.#contexts) {
      const requests = this.#queue.take(this.maxBatch, (lane) => this.#msUntilReady(lane) <= 0);
      if (requests.length === 0) break;
      void this.#runBatch(requests);
    }
    this.#planDelayed();
    if (this.#queue.size === 0 && this.#running.size === 0) this.#closed();
  }

  /** How long a lane still waits for others to fill its batch. */
  #msUntilReady(lane: readonly Request[]): number {
    if (this.#maxDelayMs === 0 || this.#closing || rowsOf(lane) >= this.maxBatch) return 0;
    const oldest = lane.reduce((time, { since }) => Math.min(time, since), Number.POSITIVE_INFINITY);
    return oldest + this.#maxDelayMs - performance.now();
  }

  #planDelayed(): void {
    clearTimeout(this.#delayTimer);
    if (this.#maxDelayMs === 0 || this.#queue.size === 0 || this.#running.size >= this.#contexts) return;
    const waits = Array.from(this.#queue.lanes(), (lane) => this.#msUntilReady(lane));
    this.#delayTimer = setTimeout(() => this.#dispatch(), Math.max(1, Math.ceil(Math.min(...waits))));
  }

  async #runBatch(taken: readonly Request[]): Promise<void> {
    const requests = taken.filter((request) => this.#stillHasData(request));
    if (requests.length === 0) return;
    const started = performance.now();
    const batch = { requests, waiting: new Set(requests), controller: new AbortController(), started };
    this.#running.add(batch);
    for (const request of requests) request.batch = batch;
    let settle: () => void;
    let failed = false;
    try {
      const results = await this.#compute(batch);
      settle = () => this.#resolve(batch, results);
    } catch (error) {
      failed = true;
      settle = () => this.#reject(batch, error);
    }
    this.#running.delete(batch);
    const report = reportOf(batch, failed);
    this.#stats.add(report);
    // The context that is free now gets its next batch first; only then are the results of this one cut up.
    this.#dispatch();
    settle();
    this.#onBatch(report);
  }

  /** A buffer can have been detached while its request waited: that must not fail the others of the batch. */
  #stillHasData(request: Request): boolean {
    const { data, shape } = request.tensor;
    if (data.length === shape.reduce((product, size) => product * size, 1)) return true;
    request.release();
    this.#stats.count('failed');
    request.reject(invalid('input', 'a tensor that keeps its data', 'one whose buffer was detached'));
    return false;
  }

  async #compute({ requests, controller: { signal } }: Batch): Promise<Results> {
    const [first, ...rest] = requests.map(({ tensor }) => tensor);
    if (first === undefined) return {};
    if (rest.length === 0) return this.#session.run(first, { signal });
    const input = this.#memory.assemble([first, ...rest]);
    try {
      return await this.#session.run(input, { signal });
    } finally {
      this.#memory.giveBack(input);
    }
  }

  #resolve({ requests, waiting }: Batch, results: Results): void {
    let row = 0;
    for (const request of requests) {
      const start = row;
      row += request.rows;
      if (!waiting.has(request)) continue;
      request.release();
      this.#stats.count('completed');
      request.resolve(requests.length === 1 ? results : rowsFrom(results, start, row));
    }
  }

  #reject({ waiting }: Batch, error: unknown): void {
    for (const request of waiting) {
      request.release();
      this.#stats.count('failed');
      request.reject(error);
    }
  }
}

function reportOf({ requests, started }: Batch, failed: boolean): BatchReport {
  const queueMs = requests.map(({ since }) => started - since);
  return { rows: rowsOf(requests), queueMs, computeMs: performance.now() - started, failed };
}

/** Rows `start` to `end` of every result: copies, so that whoever gets them may transfer them. */
function rowsFrom(results: Results, start: number, end: number): Results {
  const rows = Object.entries(results).map(([name, { data, shape }]) => {
    const size = data.length / (shape[0] as number);
    const part = data.slice(start * size, end * size);
    return [name, Tensor.fromFloat32(part, [end - start, ...shape.slice(1)])] as const;
  });
  return Object.fromEntries(rows);
}

function checkMs(name: string, value: unknown, min: number): number {
  if (typeof value === 'number' && value >= min && value <= MAX_MS) return value;
  throw invalid(name, `milliseconds ${min === 0 ? 'of at least 0' : 'above 0'} and up to ${MAX_MS}`, value);
}
