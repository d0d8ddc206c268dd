/** One who takes turns on a device. */
export interface Share {
  /** Milliseconds of the device that it has had, or could have had while it asked for nothing. */
  used: number;
  /** Turns that it has now. */
  held: number;
  /** Takes a turn that is free; false if there is nothing to do any more. */
  readonly start: () => boolean;
}

/**
 * The turns that there are on a device, so many at once. When several wait for one, it goes to whoever has had the least
 * of the device's time, so that a busy model slows another down to half at most, however large its batches are.
 */
export class Turns {
  readonly #shares = new Set<Share>();
  readonly #waiting = new Set<Share>();
  #free: number;

  constructor(readonly slots: number) {
    this.#free = slots;
  }

  join(start: () => boolean): Share {
    const share = { used: 0, held: 0, start };
    this.#shares.add(share);
    return share;
  }

  leave(share: Share): void {
    this.#shares.delete(share);
    this.#waiting.delete(share);
  }

  /** Calls `start`, now or as soon as it is this one's turn. */
  ask(share: Share): void {
    if (share.held === 0 && !this.#waiting.has(share)) this.#catchUp(share);
    this.#waiting.add(share);
    this.#give();
  }

  /** Ends a turn that took so long. */
  done(share: Share, ms: number): void {
    share.held--;
    share.used += ms;
    this.#free++;
    this.#give();
  }

  /** Who asked for nothing has saved nothing up. */
  #catchUp(share: Share): void {
    const active = [...this.#shares].filter((it) => it.held > 0 || this.#waiting.has(it));
    if (active.length === 0) return;
    share.used = Math.max(share.used, Math.min(...active.map(({ used }) => used)));
  }

  #give(): void {
    while (this.#free > 0 && this.#waiting.size > 0) {
      const next = [...this.#waiting].reduce((least, share) => (share.used < least.used ? share : least));
      this.#waiting.delete(next);
      this.#free--;
      next.held++;
      if (next.start()) continue;
      next.held--;
      this.#free++;
    }
  }
}

/** Turns on devices, by their ids. Batchers that share it are fair to each other. */
export class DeviceTurns {
  readonly #devices = new Map<string, Turns>();

  /** @param slots batches at once on a device. Default: the contexts that a session there has, CPU 1 and CUDA 2 a GPU. */
  constructor(private readonly slots?: number | undefined) {}

  of(device: string): Turns {
    const contexts = device.split(',').length * (device.startsWith('cuda') ? 2 : 1);
    const turns = this.#devices.get(device) ?? new Turns(this.slots ?? contexts);
    this.#devices.set(device, turns);
    return turns;
  }
}
