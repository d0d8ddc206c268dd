import { getModel } from '../../lib/models/builders.js';
import { BasicBlock, Bottleneck, ResNet } from '../../lib/models/resnet.js';
import type { NetworkRecipe } from '../golden/goldens.js';

const BLOCKS = { BasicBlock, Bottleneck };

/** The network that a golden is of, with parameters that nobody has set. */
export async function buildRecipe(recipe: NetworkRecipe): Promise<ResNet> {
  if ('builder' in recipe) return getModel(recipe.builder);
  return new ResNet(BLOCKS[recipe.block], recipe.layers, recipe.options);
}
