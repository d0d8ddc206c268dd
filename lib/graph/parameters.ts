import type { Graph, GraphNode } from './graph.js';

/** A parameter's float32 values, in torch's order. */
export interface ParameterValues {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * The shape that the graph expects of every tensor it names, by state-dict key, in the graph's order. Two nodes may
 * share a tensor.
 */
export function parameterShapes(graph: Graph): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const node of graph.nodes) {
    for (const [key, shape] of nodeParameters(node)) if (key !== undefined) shapes.set(key, shape);
  }
  return shapes;
}

/** The tensors of one node: its keys in the state dict, undefined for those it does without. */
export function nodeParameters(node: GraphNode): [key: string | undefined, shape: readonly number[]][] {
  switch (node.op) {
    case 'conv2d':
      return [
        [node.weight, [node.outChannels, node.inChannels / node.groups, ...node.kernelSize]],
        [node.bias, [node.outChannels]],
      ];
    case 'linear':
      return [
        [node.weight, [node.outFeatures, node.inFeatures]],
        [node.bias, [node.outFeatures]],
      ];
    case 'batch_norm':
      return [node.weight, node.bias, node.runningMean, node.runningVar].map((key) => [key, [node.features]]);
    default:
      return [];
  }
}
