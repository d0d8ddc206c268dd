import { ResNetError } from '../errors.js';
import type { Graph, GraphNode, InputNode, NormalizeNode } from '../graph/graph.js';
import { invalid, show } from '../is.js';
import type { ImageTransform } from '../transforms/image-transform.js';

/** The graph's nodes with the transform's normalisation in them, and how it renames what reads the input. */
export function normalizedGraph(graph: Graph, transform: Partial<ImageTransform> | undefined) {
  return normalizeInput(graph.nodes, inputOf(graph), normalizeNode(transform, graph));
}

export function inputOf(graph: Graph): InputNode {
  const input = graph.nodes[0];
  if (input?.op !== 'input') throw invalid('model.graph', 'nodes that begin with the input', input?.op);
  return input;
}

/** What the model's transform does to uint8 input, as a node behind the input. */
function normalizeNode(transform: Partial<ImageTransform> | undefined, graph: Graph): NormalizeNode {
  const { mean, std } = transform ?? {};
  const { channels, name } = inputOf(graph);
  const fits = (values: unknown): values is readonly number[] =>
    Array.isArray(values) && values.length === channels && values.every(Number.isFinite);
  if (!fits(mean) || !fits(std) || std.includes(0)) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      `Expected the transform to have mean and std (not 0) for each of ${channels} channels ` +
        `but received mean ${show(mean)} and std ${show(std)}`,
    );
  }
  const names = new Set(graph.nodes.map((node) => node.name));
  let unused = 'normalize';
  while (names.has(unused)) unused += '_';
  const { scale } = inputOf(graph);
  return { op: 'normalize', name: unused, inputs: [name], mean, std, ...(scale !== undefined && { scale }) };
}

/** Puts `normalize` between the input and all who read it, be they nodes or outputs: for torch, that is the input. */
function normalizeInput(nodes: readonly GraphNode[], input: InputNode, normalize: NormalizeNode) {
  const rename = (name: string) => (name === input.name ? normalize.name : name);
  const readers = nodes.slice(1).map((node) => ({ ...node, inputs: node.inputs.map(rename) }));
  return { nodes: [input, normalize, ...readers], rename };
}
