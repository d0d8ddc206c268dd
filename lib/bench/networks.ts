import type { Graph, GraphNode } from '../graph/graph.js';
import { checkOneOf } from '../is.js';
import { getModel, listModels } from '../models/builders.js';
import { BasicBlock, ResNet } from '../models/resnet.js';
import { manualSeed } from '../nn/random.js';
import type { ModuleState } from '../nn/state.js';

// The networks that are measured: seeded random parameters, the same in every run, with batch-norm statistics that
// keep activations at the size they have in trained networks.

/** The paper's network for CIFAR-10, which takes no minute to measure. */
const CIFAR = 'cifar-resnet20';

export interface BenchNetwork {
  readonly model: ResNet;
  /** Height and width that its images usually have. */
  readonly imageSize: number;
}

/** The names that `benchNetwork` knows. */
export function benchNetworkNames(): string[] {
  return [...listModels(), CIFAR];
}

/** @throws ResNetError `INVALID_ARGUMENT` for an unknown name, with the nearest there is. */
export async function benchNetwork(name: string): Promise<BenchNetwork> {
  checkOneOf('the architecture', name, benchNetworkNames());
  manualSeed(0);
  const model =
    name === CIFAR
      ? new ResNet(BasicBlock, [3, 3, 3], { stem: 'cifar', shortcut: 'zero-pad', numClasses: 10 })
      : await getModel(name);
  setStatistics(model.graph, model.stateDict());
  return { model, imageSize: name === CIFAR ? 32 : 224 };
}

/** Sets every running variance to what the convolution before it gives, for input of variance 1. */
function setStatistics(graph: Graph, state: ReadonlyMap<string, ModuleState>): void {
  const powers = new Map<string, number>();
  const dataOf = (key: string) => state.get(key)?.data as Float32Array;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => powers.get(input) as number);
    if (node.op === 'batch_norm') dataOf(node.runningVar).fill(inputs[0] as number);
    powers.set(node.name, outputPower(node, inputs, dataOf));
  }
}

/** The mean square of a node's values, estimated from those of its inputs, as for normally distributed ones. */
function outputPower(
  node: GraphNode,
  inputs: readonly number[],
  dataOf: (key: string) => Float32Array,
): number {
  const [x = 1] = inputs;
  switch (node.op) {
    case 'conv2d':
      return (x * squareSum(dataOf(node.weight))) / node.outChannels;
    case 'batch_norm':
      return 1;
    case 'relu':
      return x / 2;
    case 'add':
      return inputs.reduce((sum, power) => sum + power, 0);
    default:
      return x;
  }
}

function squareSum(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
