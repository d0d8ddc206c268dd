import { ResNetError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { didYouMean, invalid, show } from '../is.js';
import type { PlanStep } from './session.js';

/** A step of an earlier session's plan, of which only the choice counts. */
export type PlannedStep = Pick<PlanStep, 'name' | 'algorithm'>;

/** @throws ResNetError `INVALID_ARGUMENT`. */
export function checkPlan(plan: unknown): void {
  if (!Array.isArray(plan)) throw invalid('plan', "an array of steps, as a session's plan", plan);
  for (const [i, step] of plan.entries()) {
    const { name, algorithm = '' } = (step ?? {}) as Partial<PlannedStep>;
    if (typeof name === 'string' && typeof algorithm === 'string') continue;
    throw invalid(`plan[${i}]`, 'a step with name and perhaps algorithm', step);
  }
}

/**
 * The algorithms that a plan has for the nodes of `needed`, which is what this session computes of `network`. Whether
 * they fit, the backend says.
 * @throws ResNetError `UNKNOWN_NODE` for a step that the network does not have; `UNSUPPORTED` where the device has no
 * such choices.
 */
export function plannedAlgorithms(
  plan: readonly PlannedStep[],
  device: string,
  network: Graph,
  needed: Graph,
): (readonly [node: string, algorithm: string])[] {
  const chosen = plan.flatMap(({ name, algorithm }) =>
    algorithm === undefined ? [] : [[name, algorithm] as const],
  );
  if (chosen.length > 0 && device !== 'cpu') {
    throw new ResNetError(
      'UNSUPPORTED',
      `The plan has algorithms of the CPU, and the device is "${device}": leave \`plan\` out, or compile with device "cpu"`,
    );
  }
  const names = new Set(network.nodes.map(({ name }) => name));
  const unknown = chosen.find(([name]) => !names.has(name))?.[0];
  if (unknown !== undefined) {
    throw new ResNetError(
      'UNKNOWN_NODE',
      `The plan has a step ${show(unknown)}, which the network has not${didYouMean(unknown, names)}: expected the plan ` +
        'of a session of the same network (graphNodeNames(model) lists its nodes)',
    );
  }
  const run = new Set(needed.nodes.map(({ name }) => name));
  return chosen.filter(([name]) => run.has(name));
}
