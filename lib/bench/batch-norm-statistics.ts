import type { Conv2dNode, Graph, GraphNode } from '../graph/graph.js';
import type { ModuleState } from '../nn/state.js';

// A network with random parameters computes in numbers like those of a trained one if every batch norm knows the mean
// and the variance of what comes to it. They are not measured here but estimated, layer by layer, for normally
// distributed pixels and values that are independent of each other.

/** Of the values of each channel. */
interface Moments {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

/** Sets `running_mean` and `running_var` of all batch norms, whose scales and shifts are taken to be 1 and 0. */
export function estimateStatistics(graph: Graph, state: ReadonlyMap<string, ModuleState>): void {
  const moments = new Map<string, Moments>();
  const dataOf = (key: string) => state.get(key)?.data as Float32Array;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => moments.get(input) as Moments);
    if (node.op === 'batch_norm') {
      dataOf(node.runningMean).set((inputs[0] as Moments).mean);
      dataOf(node.runningVar).set((inputs[0] as Moments).variance);
    }
    moments.set(node.name, outputMoments(node, inputs, dataOf));
  }
}

function outputMoments(
  node: GraphNode,
  inputs: readonly Moments[],
  dataOf: (key: string) => Float32Array,
): Moments {
  const [x, y] = inputs;
  if (node.op === 'input') return standard(node.channels);
  if (!x) throw new Error(`${node.name} has no input`);
  switch (node.op) {
    case 'conv2d':
      return convMoments(node, x, dataOf(node.weight));
    case 'batch_norm':
      return standard(node.features);
    case 'relu':
      return rectified(x);
    case 'add':
      return y ? { mean: added(x.mean, y.mean), variance: added(x.variance, y.variance) } : x;
    case 'max_pool2d':
      return largestOfNeighbours(x);
    case 'zero_pad_shortcut':
      return { mean: padded(x.mean, node.outChannels), variance: padded(x.variance, node.outChannels) };
    default:
      return x;
  }
}

function standard(channels: number): Moments {
  return { mean: new Float64Array(channels), variance: new Float64Array(channels).fill(1) };
}

function convMoments(node: Conv2dNode, x: Moments, weight: Float32Array): Moments {
  const { inChannels, outChannels, groups, kernelSize } = node;
  const taps = kernelSize[0] * kernelSize[1];
  const [inGroup, outGroup] = [inChannels / groups, outChannels / groups];
  const mean = new Float64Array(outChannels);
  const variance = new Float64Array(outChannels);
  for (let i = 0; i < weight.length; i++) {
    const filter = Math.floor(i / taps);
    const out = Math.floor(filter / inGroup);
    const channel = Math.floor(out / outGroup) * inGroup + (filter % inGroup);
    const w = weight[i] as number;
    mean[out] = (mean[out] as number) + w * (x.mean[channel] as number);
    variance[out] = (variance[out] as number) + w * w * (x.variance[channel] as number);
  }
  return { mean, variance };
}

/** Of max(0, x) where x is normally distributed. */
function rectified({ mean, variance }: Moments): Moments {
  const pairs = Array.from(mean, (m, i) => {
    const v = variance[i] as number;
    const deviation = Math.sqrt(v);
    if (deviation === 0) return [Math.max(0, m), 0] as const;
    const density = Math.exp((-m * m) / (2 * v)) / Math.sqrt(2 * Math.PI);
    const above = normalShareBelow(m / deviation);
    const first = m * above + deviation * density;
    const second = (m * m + v) * above + m * deviation * density;
    return [first, second - first * first] as const;
  });
  return { mean: Float64Array.from(pairs, ([m]) => m), variance: Float64Array.from(pairs, ([, v]) => v) };
}

/** Of the largest in a window after a ReLU: neighbours are alike, and 3 × 3 of them count as about 5 that are not. */
function largestOfNeighbours({ mean, variance }: Moments): Moments {
  return {
    mean: mean.map((value, i) => value + 1.3 * Math.sqrt(variance[i] as number)),
    variance: variance.map((value) => 1.3 * value),
  };
}

/** The standard normal distribution's integral up to z, by a logistic curve that is within 0.02% of it. */
function normalShareBelow(z: number): number {
  return 1 / (1 + Math.exp(-(1.5976 * z + 0.07056 * z ** 3)));
}

function added(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + (b[i] as number));
}

function padded(values: Float64Array, length: number): Float64Array {
  const result = new Float64Array(length);
  result.set(values);
  return result;
}
