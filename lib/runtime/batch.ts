import { Tensor } from '../tensor.js';
import type { BatchReport, RunReport } from './batch-stats.js';
import { rowsOf } from './lane-queue.js';
import type { Results, Session } from './session.js';

/** What somebody asked a batcher for. */
export interface Request {
  readonly tensor: Tensor;
  readonly lane: string;
  readonly rows: number;
  readonly priority: number;
  readonly since: number;
  readonly resolve: (results: Results) => void;
  readonly reject: (error: unknown) => void;
  readonly onRun: (report: RunReport) => void;
  /** Ends the timer and the listener. */
  release: () => void;
  batch: Batch | undefined;
}

/** Requests that run together. */
export class Batch {
  /** Requests whose results somebody still waits for. */
  readonly waiting: Set<Request>;
  readonly #controller = new AbortController();
  readonly #started = performance.now();

  constructor(readonly requests: readonly [Request, ...Request[]]) {
    this.waiting = new Set(requests);
    for (const request of requests) request.batch = this;
  }

  /** Nobody waits for this one any more; what nobody waits for at all need not go on. */
  drop(request: Request): void {
    this.waiting.delete(request);
    if (this.waiting.size === 0) this.#controller.abort();
  }

  compute(session: Pick<Session, 'run'>): Promise<Results> {
    const tensors = this.requests.map(({ tensor }) => tensor);
    return session.run(tensors, { signal: this.#controller.signal });
  }

  /** Of now. */
  report(failed: boolean): BatchReport {
    const queueMs = this.requests.map(({ since }) => this.#started - since);
    const computeMs = performance.now() - this.#started;
    return { rows: rowsOf(this.requests), queueMs, computeMs, failed };
  }

  /** Those still waited for, each with what gives its own rows of the results. */
  *split(results: Results): Iterable<[request: Request, own: () => Results]> {
    let row = 0;
    for (const request of this.requests) {
      const start = row;
      row += request.rows;
      if (!this.waiting.has(request)) continue;
      const end = row;
      yield [request, () => (this.requests.length === 1 ? results : rowsFrom(results, start, end))];
    }
  }
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
