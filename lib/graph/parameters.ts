import type { Graph, GraphNode } from './graph.js';

/** A parameter's values, in torch's order: int8 for weights that have a scale, else float32. */
export interface ParameterValues {
  readonly shape: readonly number[];
  readonly data: Float32Array | Int8Array;
  /** Where the values are as long as they have not been read into `data`. */
  readonly stored?: StoredValues | undefined;
}

/** Values in a file: native code reads them itself, part by part, when it packs them. */
export interface StoredValues {
  readonly file: {
    readonly path: string;
    /** Open for reading. */
    readonly descriptor: number;
    /** The file's size, and when it was written to last, as they were when it was opened. */
    readonly bytes: number;
    readonly modifiedNs: bigint;
  };
  readonly position: number;
  /** What the file has them in. */
  readonly dtype: FileDType;
  /** Reads them into memory, anew each time, halves widened. */
  read(): StoredData;
}

export type StoredData = Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>;

/** A parameter's values for a moment: where they are still in a file, the parameter goes on without `data`. */
export function readValues(parameter: ParameterValues): Float32Array | Int8Array {
  return parameter.stored?.read() ?? parameter.data;
}

export type ParameterDType = 'float32' | 'int8';

/** What native code reads from a file. */
export type FileDType = ParameterDType | 'float16' | 'bfloat16';

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

/** The keys of the tensors that the graph expects in int8. */
export function int8Parameters(graph: Graph): Set<string> {
  const keys = graph.nodes
    .flatMap(nodeParameters)
    .flatMap(([key, , dtype]) => (dtype === 'int8' ? [key] : []));
  return new Set(keys as string[]);
}

type NodeParameter = [key: string | undefined, shape: readonly number[], dtype: ParameterDType];

/** The tensors of one node: its keys in the state dict, undefined for those it does without. */
export function nodeParameters(node: GraphNode): NodeParameter[] {
  switch (node.op) {
    case 'conv2d':
      return weightParameters(node, [node.outChannels, node.inChannels / node.groups, ...node.kernelSize]);
    case 'linear':
      return weightParameters(node, [node.outFeatures, node.inFeatures]);
    case 'batch_norm':
      return [node.weight, node.bias, node.runningMean, node.runningVar].map((key) => [
        key,
        [node.features],
        'float32',
      ]);
    default:
      return [];
  }
}

function weightParameters(
  node: { weight: string; weightScale?: string; bias?: string },
  shape: readonly [number, ...number[]],
): NodeParameter[] {
  return [
    [node.weight, shape, node.weightScale === undefined ? 'float32' : 'int8'],
    [node.weightScale, [shape[0]], 'float32'],
    [node.bias, [shape[0]], 'float32'],
  ];
}
