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

export const STAGES = ['read', 'decode', 'compute', 'encode', 'write'] as const;
export type Stage = (typeof STAGES)[number];
export type StageClocks = Readonly<Record<Stage, StageClock>>;

export function stageClocks(): StageClocks {
  return Object.fromEntries(STAGES.map((stage) => [stage, new StageClock()])) as Record<Stage, StageClock>;
}

export function timesOf(clocks: StageClocks): Record<Stage, StageTimes> {
  return Object.fromEntries(STAGES.map((stage) => [stage, clocks[stage].times])) as Record<Stage, StageTimes>;
}

/** The stage that had work under way for the most time: what makes it faster makes everything faster. */
export function boundingStage(times: Readonly<Record<Stage, StageTimes>>): Stage {
  return STAGES.reduce((most, stage) => (times[stage].activeMs > times[most].activeMs ? stage : most));
}
