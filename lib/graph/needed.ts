import type { Graph } from './graph.js';

/** The part of a graph that `outputs`, names of nodes, depend on: what lies behind the last of them is left out. */
export function neededGraph(graph: Graph, outputs: readonly string[]): Graph {
  const needed = new Set(outputs);
  // A node comes after those it reads, so that one pass from the end finds all.
  for (const node of graph.nodes.toReversed()) {
    if (needed.has(node.name) && 'inputs' in node) for (const input of node.inputs) needed.add(input);
  }
  const nodes = graph.nodes.filter(({ name, op }) => op === 'input' || needed.has(name));
  const kept = new Set(nodes.map(({ name }) => name));
  const aliases = Object.entries(graph.aliases).filter(([, node]) => kept.has(node));
  return { ...graph, nodes, aliases: Object.fromEntries(aliases) };
}
