import { AbortError, ResNetError } from '../errors.js';
import { checkInteger, invalid, MAX_TIMER_MS } from '../is.js';
import { onAbort } from '../on-abort.js';
import type { Tensor } from '../tensor.js';
import { Batch, type Request } from './batch.js';
import { checkBatch } from './batch-input.js';
import {
  type BatcherStats,
  type BatchReport,
  type Outcomes,
  type RunReport,
  StatsRecorder,
} from './batch-stats.js';
import { DeviceTurns, type Share, type Turns } from './device-turns.js';
import { GrowthLimits } from './growth-limit.js';
import { LaneQueue, rowsOf } from './lane-queue.js';
import type { Results, Session } from './session.js';

export interface BatcherOptions {
  /** The most images that run together. Default: what the session takes. */
  readonly maxBatch?: number | undefined;
  /** The most requests that may wait. Default 256. */
  readonly maxQueue?: number | undefined;
  /** How long a request may wait for others to fill its batch while a context is free. Default 0: not at all. */
  readonly maxDelayMs?: number | undefined;
  /** How many batches run at once on a session. Default: the contexts that a session of that device has, CPU 1 and CUDA 2. */
  readonly contexts?: number | undefined;
  /** Shared by batchers that take turns on their devices; it then says how many batches run at once. Default: its own. */
  readonly turns?: DeviceTurns | undefined;
  /** Is told of every batch that has run, after its requests are answered. What it throws is an uncaught exception. */
  readonly onBatch?: ((report: BatchReport) => void) | undefined;
}

export interface BatchRunOptions {
  /** Aborts the request, whether it waits or runs. */
  readonly signal?: AbortSignal | undefined;
  /** Requests of a larger number go first. Default 0. */
  readonly priority?: number | undefined;
  /** Milliseconds from now after which nobody needs the result. Default: none. */
  readonly deadlineMs?: number | undefined;
  /** Is told of the batch that the request ran in, before its result is there. What it throws is an uncaught exception. */
  readonly onRun?: ((report: RunReport) => void) | undefined;
}

/** What a batcher needs of a session. */
export type BatchSession = Pick<Session, 'run' | 'maxBatch' | 'channels' | 'device'>;

/** A session with its share of its device's turns. */
interface Worker {
  readonly session: BatchSession;
  readonly turns: Turns;
  readonly share: Share;
}

/**
 * Runs many small requests as few large batches. A free execution context takes at once what waits, up to `maxBatch`
 * images, or fewer where larger batches make an image hardly cheaper; while all are busy, requests gather. Requests made
 * in one turn of the event loop are gathered too. Requests of different image sizes, types or layouts never share a
 * batch.
 */
export class Batcher {
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly #workers: readonly [Worker, ...Worker[]];
  readonly #maxDelayMs: number;
  readonly #onBatch: (report: BatchReport) => void;
  readonly #queue = new LaneQueue<Request>();
  readonly #stats = new StatsRecorder();
  readonly #limits: GrowthLimits;
  readonly #running = new Set<Batch>();
  #dispatchPlanned = false;
  #delayTimer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #closed: () => void = () => undefined;

  /**
   * The session stays the caller's: close it after the batcher.
   * @param sessions one, or several of the same model, on devices of their own: whichever is free takes what waits.
   * @throws ResNetError `INVALID_ARGUMENT`.
   */
  constructor(sessions: BatchSession | readonly BatchSession[], options: BatcherOptions = {}) {
    const all: readonly BatchSession[] = Array.isArray(sessions) ? sessions : [sessions];
    if (all.length === 0 || !all.every((session) => typeof session?.run === 'function'))
      throw invalid('session', 'a session', sessions);
    const largest = Math.min(...all.map((session) => session.maxBatch));
    const { maxBatch = largest, maxQueue = 256, maxDelayMs = 0, contexts, onBatch } = options;
    this.maxBatch = checkInteger('maxBatch', maxBatch, 1, largest);
    this.maxQueue = checkInteger('maxQueue', maxQueue, 1);
    this.#maxDelayMs = checkMs('maxDelayMs', maxDelayMs, 0);
    if (contexts !== undefined) checkInteger('contexts', contexts, 1);
    if (onBatch !== undefined && typeof onBatch !== 'function')
      throw invalid('onBatch', 'a function', onBatch);
    const deviceTurns = options.turns ?? new DeviceTurns(contexts);
    if (!(deviceTurns instanceof DeviceTurns)) throw invalid('turns', 'DeviceTurns', deviceTurns);
    this.#onBatch = onBatch ?? (() => undefined);
    this.#workers = all.map((session) => this.#worker(session, deviceTurns.of(session.device))) as [Worker];
    this.#limits = new GrowthLimits(this.maxBatch);
  }

  /**
   * Runs a batch of images, as `session.run` takes them, together with others. The tensor is read when its batch starts:
   * leave it unchanged until the promise settles.
   * @returns the results for these images alone, in memory of their own.
   * @throws ResNetError `QUEUE_FULL`, `DEADLINE_EXCEEDED`, `SESSION_CLOSED` after `close()`, and what `session.run`
   * throws; AbortError.
   */
  async run(tensor: Tensor, options: BatchRunOptions = {}): Promise<Results> {
    const [{ session }] = this.#workers;
    const { n, h, w } = checkBatch(tensor, { channels: session.channels, maxBatch: this.maxBatch });
    const { signal, priority = 0, deadlineMs, onRun = () => undefined } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalid('signal', 'an AbortSignal', signal);
    if (!Number.isFinite(priority)) throw invalid('priority', 'a finite number', priority);
    if (deadlineMs !== undefined) checkMs('deadlineMs', deadlineMs, Number.MIN_VALUE);
    if (typeof onRun !== 'function') throw invalid('onRun', 'a function', onRun);
    if (this.#closing)
      throw new ResNetError('SESSION_CLOSED', 'The batcher is closed: it takes no more requests');
    if (signal?.aborted) throw new AbortError(signal.reason);
    this.checkRoom();
    const lane = `${tensor.dtype} ${tensor.layout} ${h}x${w}`;
    return new Promise<Results>((resolve, reject) => {
      const since = performance.now();
      const settlers = { resolve, reject, onRun, release: () => undefined, batch: undefined };
      const request: Request = { tensor, lane, rows: n, priority, since, ...settlers };
      request.release = this.#watch(request, signal, deadlineMs);
      this.#queue.add(request);
      this.#planDispatch();
    });
  }

  /**
   * Says what `run` would, before there is an input to run: a server need not read what it will refuse.
   * @throws ResNetError `QUEUE_FULL`.
   */
  checkRoom(): void {
    if (this.#queue.size < this.maxQueue) return;
    this.#stats.count('refused');
    throw new ResNetError('QUEUE_FULL', `${this.maxQueue} requests are waiting already; try again later`);
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

  #worker(session: BatchSession, turns: Turns): Worker {
    const worker: Worker = { session, turns, share: turns.join(() => this.#startBatch(worker)) };
    return worker;
  }

  /** Gives the request up at its deadline or when its signal aborts; returns what ends the watch. */
  #watch(request: Request, signal: AbortSignal | undefined, deadlineMs: number | undefined): () => void {
    const cancel = () => this.#giveUp(request, 'cancelled', new AbortError(signal?.reason));
    const expire = () => {
      const message = `The result was not there within ${deadlineMs} ms`;
      this.#giveUp(request, 'expired', new ResNetError('DEADLINE_EXCEEDED', message));
    };
    const timer = deadlineMs === undefined ? undefined : setTimeout(expire, deadlineMs);
    const forget = onAbort(signal, cancel);
    return () => {
      clearTimeout(timer);
      forget();
    };
  }

  #giveUp(request: Request, outcome: keyof Outcomes, error: Error): void {
    request.release();
    this.#stats.count(outcome);
    if (request.batch) {
      request.batch.drop(request);
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

  /** Asks for a turn on every device while something is ready to run. */
  #dispatch(): void {
    // One time for both: what would be ready only at the second would be neither asked for nor waited for.
    const now = performance.now();
    for (const { turns, share } of this.#workers) {
      if (this.#hasReady(now)) turns.ask(share);
    }
    this.#planDelayed(now);
    if (!this.#closing || this.#queue.size > 0 || this.#running.size > 0) return;
    for (const { turns, share } of this.#workers) turns.leave(share);
    this.#closed();
  }

  #hasReady(now: number): boolean {
    for (const lane of this.#queue.lanes()) if (this.#msUntilReady(lane, now) <= 0) return true;
    return false;
  }

  /** How long a lane still waits for others to fill its batch. */
  #msUntilReady(lane: readonly Request[], now: number): number {
    if (this.#maxDelayMs === 0 || this.#closing || rowsOf(lane) >= this.maxBatch) return 0;
    const oldest = lane.reduce((time, { since }) => Math.min(time, since), Number.POSITIVE_INFINITY);
    return oldest + this.#maxDelayMs - now;
  }

  #planDelayed(now: number): void {
    clearTimeout(this.#delayTimer);
    if (this.#maxDelayMs === 0) return;
    const waits = Array.from(this.#queue.lanes(), (lane) => this.#msUntilReady(lane, now));
    // Those that are ready have asked for their turn.
    const next = Math.min(...waits.filter((ms) => ms > 0));
    if (next < Number.POSITIVE_INFINITY)
      this.#delayTimer = setTimeout(() => this.#dispatch(), Math.max(1, Math.ceil(next)));
  }

  /** Takes what may run together and runs it; false if nothing does. */
  #startBatch(worker: Worker): boolean {
    const now = performance.now();
    const isReady = (lane: readonly Request[]) => this.#msUntilReady(lane, now) <= 0;
    let good: Request[] = [];
    while (good.length === 0) {
      const taken = this.#queue.take((lane) => this.#rowsToTake(lane), isReady);
      if (taken.length === 0) return false;
      good = taken.filter((request) => this.#stillHasData(request));
    }
    void this.#runBatch(worker, new Batch(good as [Request, ...Request[]]));
    this.#dispatch();
    return true;
  }

  #rowsToTake(lane: readonly Request[]): number {
    const [{ lane: name }] = lane as [Request];
    return this.#limits.of(name).rows(rowsOf(lane));
  }

  async #runBatch({ session, turns, share }: Worker, batch: Batch): Promise<void> {
    this.#running.add(batch);
    let settle: () => void;
    let failed = false;
    try {
      const results = await batch.compute(session);
      settle = () => this.#resolve(batch, results);
    } catch (error) {
      failed = true;
      settle = () => this.#reject(batch, error);
    }
    this.#running.delete(batch);
    const report = batch.report(failed);
    this.#stats.add(report);
    if (!failed) this.#limits.of(batch.requests[0].lane).add(report.rows, report.computeMs);
    // The context that is free now gets its next batch first; only then are the results of this one cut up.
    if (this.#hasReady(performance.now())) turns.ask(share);
    turns.done(share, report.computeMs);
    settle();
    for (const [i, request] of batch.requests.entries()) {
      if (batch.waiting.has(request))
        tell(request.onRun, { ...report, queueMs: report.queueMs[i] as number });
    }
    tell(this.#onBatch, report);
    this.#dispatch();
  }

  /** A buffer can have been detached while its request waited: that must not fail the others of the batch. */
  #stillHasData(request: Request): boolean {
    const { data, shape } = request.tensor;
    if (data.length === shape.reduce((product, size) => product * size, 1)) return true;
    this.#fail(request, invalid('input', 'a tensor that keeps its data', 'one whose buffer was detached'));
    return false;
  }

  #resolve(batch: Batch, results: Results): void {
    for (const [request, own] of batch.split(results)) {
      try {
        const rows = own();
        request.release();
        this.#stats.count('completed');
        request.resolve(rows);
      } catch (cause) {
        const message = 'There is no memory for the results of the request';
        this.#fail(request, new ResNetError('OUT_OF_MEMORY', message, { cause }));
      }
    }
  }

  #reject({ waiting }: Batch, error: unknown): void {
    for (const request of waiting) this.#fail(request, error);
  }

  #fail(request: Request, error: unknown): void {
    request.release();
    this.#stats.count('failed');
    request.reject(error);
  }
}

/** Calls a listener. What it throws is an uncaught exception, as an EventTarget's is, but keeps nobody from being answered. */
function tell<Report>(listener: (report: Report) => void, report: Report): void {
  try {
    listener(report);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

function checkMs(name: string, value: unknown, min: number): number {
  if (typeof value === 'number' && value >= min && value <= MAX_TIMER_MS) return value;
  throw invalid(
    name,
    `milliseconds ${min === 0 ? 'of at least 0' : 'above 0'} and up to ${MAX_TIMER_MS}`,
    value,
  );
}
