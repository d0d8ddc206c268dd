/** A batch that has run, well or not. */
export interface BatchReport {
  /** Images in it. */
  readonly rows: number;
  /** How long each of its requests had waited when it started, in milliseconds. */
  readonly queueMs: readonly number[];
  /** From its start until the results were there, in milliseconds. */
  readonly computeMs: number;
  readonly failed: boolean;
}

/** What the batch of a request came to, for that request. */
export interface RunReport extends Omit<BatchReport, 'queueMs'> {
  /** How long the request had waited when its batch started, in milliseconds. */
  readonly queueMs: number;
}

/** How many times something was measured, and what came out, in milliseconds. */
export interface Timing {
  readonly count: number;
  readonly totalMs: number;
  readonly maxMs: number;
}

/** How requests ended. */
export interface Outcomes {
  readonly completed: number;
  /** The run threw. */
  readonly failed: number;
  /** By their signal. */
  readonly cancelled: number;
  /** At their deadline. */
  readonly expired: number;
  /** The queue was full. */
  readonly refused: number;
}

/** What a batcher has done since it was made, and does now. */
export interface BatcherStats {
  /** Requests that wait. */
  readonly queued: number;
  /** Batches that compute. */
  readonly running: number;
  readonly requests: Outcomes;
  /** Batches that have run; from here on without those that failed. */
  readonly batches: number;
  /** Images of all batches. */
  readonly rows: number;
  /** For each number of rows that batches had: how many, and their compute time. */
  readonly batchSizes: ReadonlyMap<number, Timing>;
  /** How long the requests of batches had waited. */
  readonly queueTime: Timing;
  /** Of batches. */
  readonly computeTime: Timing;
  /** The same for each of their requests: how long the batch computed that it was in. */
  readonly requestComputeTime: Timing;
}

const NONE: Timing = { count: 0, totalMs: 0, maxMs: 0 };

/** Adds up what batches and requests come to. */
export class StatsRecorder {
  readonly #outcomes = { completed: 0, failed: 0, cancelled: 0, expired: 0, refused: 0 };
  readonly #batchSizes = new Map<number, Timing>();
  #rows = 0;
  #queueTime = NONE;
  #computeTime = NONE;
  #requestComputeTime = NONE;

  count(outcome: keyof Outcomes): void {
    this.#outcomes[outcome]++;
  }

  add({ rows, queueMs, computeMs, failed }: BatchReport): void {
    if (failed) return;
    this.#rows += rows;
    this.#batchSizes.set(rows, plus(this.#batchSizes.get(rows) ?? NONE, computeMs));
    this.#computeTime = plus(this.#computeTime, computeMs);
    for (const ms of queueMs) {
      this.#queueTime = plus(this.#queueTime, ms);
      this.#requestComputeTime = plus(this.#requestComputeTime, computeMs);
    }
  }

  read(): Omit<BatcherStats, 'queued' | 'running'> {
    return {
      requests: { ...this.#outcomes },
      batches: this.#computeTime.count,
      rows: this.#rows,
      batchSizes: new Map(this.#batchSizes),
      queueTime: this.#queueTime,
      computeTime: this.#computeTime,
      requestComputeTime: this.#requestComputeTime,
    };
  }
}

function plus({ count, totalMs, maxMs }: Timing, ms: number): Timing {
  return { count: count + 1, totalMs: totalMs + ms, maxMs: Math.max(maxMs, ms) };
}
