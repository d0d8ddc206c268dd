import { StageClock, type StageTimes } from '../tasks/stage-clock.js';

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
