// So many batches tell what a size costs: the best of them, because other work on the machine only ever adds.
const SAMPLES = 3;
// By so much an image has to be cheaper in a larger batch to be worth the wait.
const WORTH = 0.97;
// After so many batches each size is tried once more: the machine may have got other work, or be rid of it.
const BATCHES_BETWEEN_TRIALS = 100;

/**
 * How large batches are let grow: to the smallest size at which an image costs nearly as little as in any larger one.
 * Beyond, a batch makes its requests wait longer and nothing faster. Learns from the batches that run: under load, the
 * halvings of the largest are tried in turn, a few times each, down to the first that costs more.
 */
export class GrowthLimit {
  /** 1, 2, 4, … and the largest batch. */
  readonly #sizes: readonly number[];
  /** For each size, milliseconds an image of its last batches. */
  readonly #costs: readonly number[][];
  #batches = 0;

  constructor(maxBatch: number) {
    const doublings = Array.from({ length: Math.ceil(Math.log2(maxBatch)) }, (_, i) => 2 ** i);
    this.#sizes = [...doublings, maxBatch];
    this.#costs = this.#sizes.map(() => []);
  }

  /** How many of the images that wait to run together. */
  rows(waiting: number): number {
    for (let samples = 1; samples <= SAMPLES; samples++) {
      const { size, isKnown } = this.#smallestWorth(waiting, samples);
      if (!isKnown || samples === SAMPLES) return size;
    }
    return waiting;
  }

  /** From the largest down as long as an image costs no more; to a size of which there are fewer samples than that. */
  #smallestWorth(waiting: number, samples: number): { size: number; isKnown: boolean } {
    const largest = this.#indexOf(waiting);
    let worth = waiting;
    let best = Number.POSITIVE_INFINITY;
    for (let i = largest; i >= 0; i--) {
      const costs = this.#costs[i] as number[];
      // The largest is all that waits, which may lie between two sizes.
      const size = i === largest ? waiting : (this.#sizes[i] as number);
      if (costs.length < samples) return { size, isKnown: false };
      const cost = Math.min(...costs);
      best = Math.min(best, cost);
      if (cost * WORTH > best) break;
      worth = size;
    }
    return { size: worth, isKnown: true };
  }

  /** What a batch took. */
  add(rows: number, ms: number): void {
    this.#costs[this.#indexOf(rows)]?.push(ms / rows);
    for (const costs of this.#costs) if (costs.length > SAMPLES) costs.shift();
    if (++this.#batches % BATCHES_BETWEEN_TRIALS === 0) for (const costs of this.#costs) costs.shift();
  }

  #indexOf(rows: number): number {
    return this.#sizes.findLastIndex((size) => size <= rows);
  }
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
