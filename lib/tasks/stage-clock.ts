/** What a stage of the pipeline has done so far. */
export interface StageTimes {
  readonly images: number;
  /** Milliseconds during which it had work under way, alone or beside other stages. */
  readonly activeMs: number;
}

/** Measures a stage of which several pieces of work may be under way at once. */
export class StageClock {
  #images = 0;
  #activeMs = 0;
  #underWay = 0;
  #since = 0;

  /** Does `work`, timed, which counts as so many images. */
  async time<T>(images: number, work: () => Promise<T>): Promise<T> {
    if (this.#underWay++ === 0) this.#since = performance.now();
    try {
      return await work();
    } finally {
      this.#images += images;
      if (--this.#underWay === 0) this.#activeMs += performance.now() - this.#since;
    }
  }

  get times(): StageTimes {
    const running = this.#underWay > 0 ? performance.now() - this.#since : 0;
    return { images: this.#images, activeMs: this.#activeMs + running };
  }
}
