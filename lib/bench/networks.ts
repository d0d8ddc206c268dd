import { checkOneOf } from '../is.js';
import { getModel, listModels } from '../models/builders.js';
import { BasicBlock, ResNet } from '../models/resnet.js';
import { manualSeed } from '../nn/random.js';
import { estimateStatistics } from './batch-norm-statistics.js';

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
  estimateStatistics(model.graph, model.stateDict());
  return { model, imageSize: name === CIFAR ? 32 : 224 };
}
