import type { Conv2dNode, Graph, GraphNode, LinearNode } from './graph.js';
import { type ParameterValues, parameterShapes, readValues } from './parameters.js';

// A network in int8 is the same graph with a scale on its nodes and int8 weights under the same names. Batch norms stay
// what they are: native code folds them into the weights' scales.

/** By node name. */
export type Scales = Readonly<Record<string, number>>;

export interface QuantizedNetwork {
  readonly graph: Graph;
  readonly parameters: ReadonlyMap<string, ParameterValues>;
}

const LARGEST = 127;

/**
 * Puts scales on the graph's nodes and makes the weights of its layers int8: each output channel's largest magnitude
 * becomes 127.
 * @param options.keep names of the layers whose weights stay what they are; one that shares its weight with another
 * layer stays only with it.
 * @param options.pause awaited between tensors: the large ones take milliseconds.
 */
export async function quantizeNetwork(
  graph: Graph,
  parameters: ReadonlyMap<string, ParameterValues>,
  scales: Scales,
  options: { readonly keep: ReadonlySet<string>; readonly pause: () => Promise<void> },
): Promise<QuantizedNetwork> {
  const taken = new Set(parameters.keys());
  const weightScales = new Map<string, string>();
  for (const node of graph.nodes) {
    if (!hasWeight(node) || node.weightScale !== undefined || options.keep.has(node.name)) continue;
    if (weightScales.has(node.weight)) continue;
    const key = unusedName(`${node.weight}_scale`, taken);
    weightScales.set(node.weight, key);
    taken.add(key);
  }
  const nodes = graph.nodes.map((node): GraphNode => {
    const scaled = withScale(node, scales[node.name]);
    const weightScale = hasWeight(scaled) ? weightScales.get(scaled.weight) : undefined;
    return weightScale === undefined ? scaled : ({ ...scaled, weightScale } as GraphNode);
  });
  const quantized = new Map<string, ParameterValues>();
  for (const key of parameterShapes(graph).keys()) {
    const parameter = parameters.get(key) as ParameterValues;
    const scaleKey = weightScales.get(key);
    if (scaleKey === undefined) {
      quantized.set(key, parameter);
      continue;
    }
    const [weight, scale] = quantizeWeight(parameter);
    quantized.set(key, weight).set(scaleKey, scale);
    await options.pause();
  }
  return { graph: { ...graph, nodes }, parameters: quantized };
}

/** float32 values of a weight that may be int8. */
export function dequantizeWeight(
  parameter: ParameterValues,
  scale: ParameterValues | undefined,
): Float32Array {
  const data = readValues(parameter);
  if (data instanceof Float32Array) return data;
  const each = data.length / (parameter.shape[0] as number);
  return Float32Array.from(data, (value, i) => value * (scale?.data[Math.floor(i / each)] ?? 1));
}

function withScale(node: GraphNode, scale: number | undefined): GraphNode {
  const { scale: _, ...bare } = node;
  return (scale === undefined ? bare : { ...bare, scale }) as GraphNode;
}

function hasWeight(node: GraphNode): node is Conv2dNode | LinearNode {
  return node.op === 'conv2d' || node.op === 'linear';
}

function quantizeWeight(parameter: ParameterValues): [weight: ParameterValues, scale: ParameterValues] {
  const { shape } = parameter;
  const data = readValues(parameter);
  const channels = shape[0] as number;
  const each = data.length / channels;
  const values = new Int8Array(data.length);
  const scales = new Float32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const first = channel * each;
    let largest = 0;
    for (let i = first; i < first + each; i++) largest = Math.max(largest, Math.abs(data[i] as number));
    // Of a channel of zeros any scale is right; NaN and infinity stay for native code to refuse, by name.
    scales[channel] = largest === 0 ? 1 : largest / LARGEST;
    const scale = scales[channel] as number;
    for (let i = first; i < first + each; i++) {
      values[i] = Math.max(-LARGEST, Math.min(LARGEST, Math.round((data[i] as number) / scale)));
    }
  }
  return [
    { shape, data: values },
    { shape: [channels], data: scales },
  ];
}

function unusedName(name: string, taken: ReadonlySet<string>): string {
  return taken.has(name) ? unusedName(`${name}_`, taken) : name;
}
