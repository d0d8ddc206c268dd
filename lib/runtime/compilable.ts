import type { Graph } from '../graph/graph.js';
import type { ParameterValues } from '../graph/parameters.js';
import { invalid } from '../is.js';
import type { ImageTransform } from '../transforms/image-transform.js';

/** What a session is compiled from. */
export interface Compilable {
  readonly graph: Graph;
  /** At least every tensor that the graph names, by state-dict key. Reading `data` may initialise it. */
  readonly parameters: ReadonlyMap<string, ParameterValues>;
  readonly transform: ImageTransform;
  /** Class names in the order of the logits, where known. */
  readonly categories: readonly string[] | undefined;
}

/**
 * What there is to compile, each part read once: a network traces itself anew whenever its graph is read.
 * @throws ResNetError `INVALID_ARGUMENT` unless `model` is something to compile, and what tracing throws.
 */
export function readModel(model: Compilable): Compilable {
  if (typeof model !== 'object' || model === null || !('graph' in model)) {
    throw invalid('model', 'a model', model);
  }
  const { graph, parameters, transform, categories } = model;
  return { graph, parameters, transform, categories };
}
