/** What waits for a batch. */
export interface Waiting {
  /** Only what has the same lane can share a batch. */
  readonly lane: string;
  readonly rows: number;
  /** Larger goes first. */
  readonly priority: number;
  /** On the clock of `performance.now()`. */
  readonly since: number;
}

/**
 * Waiting requests in lanes that cannot share a batch. Within a lane the order is by priority, then by arrival; between
 * lanes whose first requests are of one priority, the lane served longest ago has its turn, so that none starves.
 */
export class LaneQueue<T extends Waiting> {
  /** In the order of turns. No lane is empty. */
  readonly #lanes = new Map<string, T[]>();
  #size = 0;

  /** Requests that wait. */
  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    const lane = this.#lanes.get(item.lane) ?? [];
    const behind = lane.findLastIndex(({ priority }) => priority >= item.priority);
    lane.splice(behind + 1, 0, item);
    this.#lanes.set(item.lane, lane);
    this.#size++;
  }

  remove(item: T): void {
    const lane = this.#lanes.get(item.lane);
    const i = lane?.indexOf(item) ?? -1;
    if (!lane || i < 0) return;
    lane.splice(i, 1);
    this.#size--;
    if (lane.length === 0) this.#lanes.delete(item.lane);
  }

  /**
   * Takes a batch of up to `maxRows` of its lane from the lane whose turn it is, among those that `isReady`. The first of
   * a lane is always taken; later ones that do not fit let others past.
   */
  take(maxRows: (lane: readonly T[]) => number, isReady: (lane: readonly T[]) => boolean): T[] {
    let next: T[] | undefined;
    for (const lane of this.#lanes.values()) {
      if (isReady(lane) && (next === undefined || priorityOf(lane) > priorityOf(next))) next = lane;
    }
    return next ? this.#takeFrom(next, maxRows(next)) : [];
  }

  /** The lanes, each in its order. */
  lanes(): Iterable<readonly T[]> {
    return this.#lanes.values();
  }

  #takeFrom(lane: readonly T[], maxRows: number): T[] {
    const taken: T[] = [];
    const left: T[] = [];
    let rows = 0;
    for (const item of lane) {
      const fits = taken.length === 0 || rows + item.rows <= maxRows;
      if (fits) rows += item.rows;
      (fits ? taken : left).push(item);
    }
    const [{ lane: name }] = lane as [T];
    this.#lanes.delete(name);
    if (left.length > 0) this.#lanes.set(name, left);
    this.#size -= taken.length;
    return taken;
  }
}

function priorityOf(lane: readonly Waiting[]): number {
  return lane[0]?.priority ?? Number.NEGATIVE_INFINITY;
}

/** Rows of all that waits in a lane. */
export function rowsOf(lane: readonly Waiting[]): number {
  return lane.reduce((sum, { rows }) => sum + rows, 0);
}
