import { setImmediate } from 'node:timers/promises';
import type { Graph } from '../graph/graph.js';
import { type ParameterValues, parameterShapes } from '../graph/parameters.js';
import { invalid, show } from '../is.js';
import type { Compilable } from './compilable.js';

// Of work on the JavaScript thread before other work gets its turn.
const LONGEST_TURN_MS = 5;

/**
 * The tensors that a graph names, by state-dict key. Those that have no values yet compute them now, and the event loop
 * turns between them: drawing all of a network's at random takes a second.
 * @throws ResNetError `INVALID_ARGUMENT` for one that is not there.
 */
export async function graphParameters(
  parameters: Compilable['parameters'],
  graph: Graph,
): Promise<Map<string, ParameterValues>> {
  const named = new Map<string, ParameterValues>();
  let turn = performance.now();
  for (const key of parameterShapes(graph).keys()) {
    const parameter = parameters.get(key);
    if (!parameter) throw invalid('model.parameters', `a tensor named ${show(key)}`, 'none');
    named.set(key, parameter);
    if (!parameter.stored) void parameter.data;
    if (performance.now() - turn < LONGEST_TURN_MS) continue;
    await setImmediate();
    turn = performance.now();
  }
  return named;
}
