import { type Line, LineFit } from './line-fit.js';

// A batch costs something whatever is in it. It need not grow where that is so small a share of what its images cost.
const FIXED_SHARE = 0.15;
// What a batch counts, of what the next one does: the machine may get other work, or be rid of it.
const DECAY = 0.98;
// A run that took so many times what was expected was held up, and counts as one that took no more.
const MAX_EXCESS = 2;
// So many batches take all that waits: nothing is known yet, and the first runs of a process are slow.
const FIRST_BATCHES = 20;

/**
 * How large batches are let grow: beyond, a batch makes its requests wait longer and its images hardly cheaper. Where much
 * more waits, half of it runs: then the little that larger batches save is what shortens the queue. Learns from the
 * batches that run: one of n images is taken to cost fixed + n * each, so that an image costs each + fixed / n, and the
 * line through those costs over 1 / n gives both.
 */
export class GrowthLimit {
  #costs = new LineFit(DECAY);
  #batches = 0;
  #limit: number;

  constructor(private readonly maxBatch: number) {
    this.#limit = maxBatch;
  }

  /** How many of the images that wait to run together. */
  rows(waiting: number): number {
    return Math.min(waiting, this.maxBatch, Math.max(this.#limit, Math.ceil(waiting / 2)));
  }

  /** What a batch took. */
  add(rows: number, ms: number): void {
    this.#learn(1 / rows, ms / rows);
    if (++this.#batches < FIRST_BATCHES) return;
    const line = this.#costs.line();
    this.#limit = line ? this.#towards(enoughFor(line)) : this.#another();
  }

  #learn(x: number, cost: number): void {
    const expected = Math.max(this.#costs.at(x) ?? 0, 0);
    const most = expected > 0 ? MAX_EXCESS * expected : cost;
    // What was expected came of runs that were held up: other work only ever adds.
    if (cost < expected / MAX_EXCESS) this.#costs = new LineFit(DECAY);
    this.#costs.add(x, Math.min(cost, most));
  }

  /** By halves and doubles: what the line says far from the sizes that ran is a guess. */
  #towards(enough: number): number {
    return Math.ceil(Math.min(Math.max(enough, this.#limit / 2), 2 * this.#limit, this.maxBatch));
  }

  /** All sizes in turn: batches of one size tell nothing of others. */
  #another(): number {
    return this.#limit > 1 ? Math.ceil(this.#limit / 2) : this.maxBatch;
  }
}

/** The smallest batch of which the fixed part is a small one. */
function enoughFor({ intercept: each, slope: fixed }: Line): number {
  return each > 0 ? fixed / (FIXED_SHARE * each) : Number.POSITIVE_INFINITY;
}

// Image sizes are the clients' choice: so many are remembered.
const MAX_LANES = 64;

/** A limit for each kind of batch, by its lane. */
export class GrowthLimits {
  readonly #limits = new Map<string, GrowthLimit>();

  constructor(private readonly maxBatch: number) {}

  of(lane: string): GrowthLimit {
    const limit = this.#limits.get(lane) ?? new GrowthLimit(this.maxBatch);
    // What was used last stands last: the first is forgotten.
    this.#limits.delete(lane);
    this.#limits.set(lane, limit);
    const [oldest] = this.#limits.keys();
    if (this.#limits.size > MAX_LANES) this.#limits.delete(oldest as string);
    return limit;
  }
}
