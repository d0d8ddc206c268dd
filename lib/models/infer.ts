import { ResNetError } from '../errors.js';
import type { ResNetArchitecture } from './architecture.js';

/** Shapes by state-dict key. */
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

type Shortcut = NonNullable<ResNetArchitecture['shortcut']>;

/**
 * The architecture of a ResNet from the names and shapes of its tensors. Shortcuts without parameters and dilation
 * leave no trace there: the first have to be told, the second is taken to be none.
 * @param shortcut what the shortcuts are, where the caller knows.
 * @throws ResNetError `UNSUPPORTED`, saying why, when the tensors are not those of a ResNet.
 */
export function inferArchitecture(shapes: Shapes, shortcut?: Shortcut): ResNetArchitecture {
  const stem = inferStem(shapes);
  const block = shapes.has('layer1.0.conv3.weight') ? 'Bottleneck' : 'BasicBlock';
  const layers = Array.from({ length: stem === 'cifar' ? 3 : 4 }, (_, i) => countBlocks(shapes, i + 1));
  return {
    family: 'resnet',
    block,
    layers,
    numClasses: sizeOf(shapes, 'fc.weight', 2)[0] as number,
    ...(block === 'Bottleneck' ? inferGroups(shapes, stem) : {}),
    shortcut: shortcut ?? inferShortcut(shapes, block, layers),
    stem,
  };
}

function inferStem(shapes: Shapes): 'imagenet' | 'cifar' {
  const shape = sizeOf(shapes, 'conv1.weight', 4).join();
  if (shape === '64,3,7,7') return 'imagenet';
  if (shape === '16,3,3,3') return 'cifar';
  throw cannotTell(`conv1.weight has the shape [${shape}], and expected is [64,3,7,7] or [16,3,3,3]`);
}

function countBlocks(shapes: Shapes, stage: number): number {
  let blocks = 0;
  while (shapes.has(`layer${stage}.${blocks}.conv1.weight`)) blocks++;
  if (blocks === 0) throw cannotTell(`there is no layer${stage}.0.conv1.weight`);
  return blocks;
}

/** From the 3×3 of the first block, [width, width / groups, 3, 3], where width = ⌊planes · widthPerGroup / 64⌋ · groups. */
function inferGroups(shapes: Shapes, stem: 'imagenet' | 'cifar'): { groups: number; widthPerGroup: number } {
  const [width = 0, perGroup = 0] = sizeOf(shapes, 'layer1.0.conv2.weight', 4);
  const groups = width / perGroup;
  if (!Number.isInteger(groups)) {
    throw cannotTell(`layer1.0.conv2.weight has ${width} channels, which is no multiple of ${perGroup}`);
  }
  const planes = stem === 'cifar' ? 16 : 64;
  return { groups, widthPerGroup: perGroup * (64 / planes) };
}

function inferShortcut(shapes: Shapes, block: string, layers: readonly number[]): Shortcut {
  const projects = (path: string) => shapes.has(`${path}.downsample.0.weight`);
  const everywhere = layers.some((blocks, i) => blocks > 1 && projects(`layer${i + 1}.1`));
  if (everywhere || (block === 'BasicBlock' && projects('layer1.0'))) return 'projection-all';
  if (projects('layer2.0')) return 'projection';
  throw cannotTell(
    "shortcuts without parameters may be zero-padded or absent: give the option shortcut, 'zero-pad' or 'none'",
  );
}

/** The shape of a tensor of a known rank, all sizes at least 1. */
function sizeOf(shapes: Shapes, key: string, rank: number): readonly number[] {
  const shape = shapes.get(key)?.shape;
  if (!shape) throw cannotTell(`there is no ${key}`);
  if (shape.length === rank && shape.every((size) => size > 0)) return shape;
  throw cannotTell(`${key} has the shape [${shape}], and expected are ${rank} sizes`);
}

function cannotTell(reason: string): ResNetError {
  return new ResNetError(
    'UNSUPPORTED',
    `The architecture cannot be told from the tensors: ${reason}. Build the model and call loadStateDict(model, file)`,
  );
}
