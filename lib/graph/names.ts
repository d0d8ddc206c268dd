import { ResNetError } from '../errors.js';
import { didYouMean, invalid, show } from '../is.js';
import type { Graph } from './graph.js';

/**
 * The names under which a model's features may be asked for, in the order of computation: torchvision's
 * `get_graph_node_names` in eval mode. Names of modules (`layer1`, `layer1.0`) and `logits` work as well and stand for
 * the last node inside; they are not listed, as in torchvision.
 */
export function graphNodeNames(model: { readonly graph: Graph }): string[] {
  return model.graph.nodes.map((node) => node.name);
}

/**
 * The node that `name` stands for, be it a node's own name or an alias.
 * @throws ResNetError `UNKNOWN_NODE`, with the nearest name there is; `INVALID_ARGUMENT` for what is no string.
 */
export function resolveNode(graph: Graph, name: string): string {
  if (typeof name !== 'string') throw invalid('a node name', 'a string', name);
  const names = graphNodeNames({ graph });
  if (names.includes(name)) return name;
  // Own properties only: aliases come from files, and every object has a `constructor`.
  const target = Object.hasOwn(graph.aliases, name) ? graph.aliases[name] : undefined;
  if (target !== undefined) return target;
  const hint = didYouMean(name, [...names, ...Object.keys(graph.aliases)]);
  throw new ResNetError(
    'UNKNOWN_NODE',
    `The network has no node ${show(name)}${hint}; graphNodeNames(model) lists them`,
  );
}
