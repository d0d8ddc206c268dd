import { ResNetError } from '../errors.js';
import type { Graph, GraphNode, Pair } from '../graph/graph.js';
import { nodeParameters } from '../graph/parameters.js';

// What a network costs at a given size of its input: multiply-adds and memory traffic.

const FLOAT_BYTES = 4;

/** [n, c, h, w], or [n, c] once flattened. */
type Shape = readonly number[];

export interface Cost {
  /** Multiply-adds, as direct convolution has them. */
  readonly macs: number;
  /** Inputs, parameters and output, once each, in float32. */
  readonly bytes: number;
}

/** Multiply-adds of the whole network for an input [n, c, h, w]. */
export function networkMacs(graph: Graph, input: Shape): number {
  const shapes = concreteShapes(graph, input);
  return graph.nodes.reduce((sum, node) => sum + nodeMacs(node, shapes), 0);
}

/**
 * The cost of each step of a plan. A step has the name of the last node that was fused into it, so that it comprises
 * what leads to that node from other steps. A step that is no node of the graph costs nothing.
 */
export function stepCosts(graph: Graph, steps: readonly string[], input: Shape): Cost[] {
  const shapes = concreteShapes(graph, input);
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const ends = new Set(steps);
  return steps.map((step) => {
    const within = new Set<GraphNode>();
    const read = new Set<string>();
    const visit = (node: GraphNode | undefined) => {
      if (!node || within.has(node)) return;
      within.add(node);
      for (const name of node.inputs) {
        if (ends.has(name) || nodes.get(name)?.op === 'input') read.add(name);
        else visit(nodes.get(name));
      }
    };
    visit(nodes.get(step));
    if (within.size === 0) return { macs: 0, bytes: 0 };
    const parameters = [...within].flatMap(nodeParameters).filter(([key]) => key !== undefined);
    const values = [...read, step].map((name) => shapes.get(name) as Shape);
    const arrays = [...parameters.map(([, shape]) => shape), ...values];
    return {
      macs: [...within].reduce((sum, node) => sum + nodeMacs(node, shapes), 0),
      bytes: FLOAT_BYTES * arrays.reduce((sum, shape) => sum + product(shape), 0),
    };
  });
}

function nodeMacs(node: GraphNode, shapes: ReadonlyMap<string, Shape>): number {
  const outputs = product(shapes.get(node.name) as Shape);
  if (node.op === 'linear') return outputs * node.inFeatures;
  if (node.op !== 'conv2d') return 0;
  return outputs * (node.inChannels / node.groups) * product(node.kernelSize);
}

function concreteShapes(graph: Graph, input: Shape): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const node of graph.nodes) {
    const x = node.inputs[0] === undefined ? input : (shapes.get(node.inputs[0]) as Shape);
    shapes.set(node.name, outputOf(node, x));
  }
  return shapes;
}

function outputOf(node: GraphNode, x: Shape): Shape {
  const [n = 0, c = 0, h = 1, w = 1] = x;
  switch (node.op) {
    case 'conv2d':
      return [n, node.outChannels, ...slide(node, h, w)];
    case 'max_pool2d':
      return [n, c, ...slide(node, h, w)];
    case 'global_avg_pool':
      return [n, c, 1, 1];
    case 'zero_pad_shortcut':
      return [n, node.outChannels, Math.ceil(h / node.stride), Math.ceil(w / node.stride)];
    case 'flatten':
      return [n, c * h * w];
    case 'linear':
      return [n, node.outFeatures];
    default:
      return x;
  }
}

interface Window {
  readonly name: string;
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
}

/** How often a window fits over h × w. */
function slide({ name, kernelSize, stride, padding, dilation }: Window, h: number, w: number): number[] {
  return [h, w].map((size, axis) => {
    const [kernel, step, border, spacing] = [kernelSize, stride, padding, dilation].map(
      (pair) => pair[axis] as number,
    ) as [number, number, number, number];
    const places = Math.floor((size + 2 * border - spacing * (kernel - 1) - 1) / step) + 1;
    if (places >= 1) return places;
    throw new ResNetError('INVALID_SHAPE', `${name}: an input of ${h}×${w} is too small for the network`);
  });
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((result, size) => result * size, 1);
}
