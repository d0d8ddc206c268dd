import { integer, listOf, oneOf, optional, readBoolean, readJson, readObject } from '../graph/readers.js';
import { BasicBlock, type BlockType, Bottleneck, ResNet } from './resnet.js';
import { type ResNetOptions, SHORTCUTS, STEMS } from './resnet-options.js';

/** A ResNet in words, as a weights file's metadata may have it under `architecture`. */
export interface ResNetArchitecture
  extends Pick<
    ResNetOptions,
    'numClasses' | 'groups' | 'widthPerGroup' | 'replaceStrideWithDilation' | 'shortcut' | 'stem'
  > {
  readonly family: 'resnet';
  readonly block: keyof typeof BLOCKS;
  readonly layers: readonly number[];
}

const BLOCKS = { BasicBlock, Bottleneck } satisfies Record<string, BlockType>;

// Generous for any network, and too small to keep a machine busy with building it.
const MAX_STAGE_BLOCKS = 1000;
const MAX_GROUPS = 2 ** 12;
const MAX_CLASSES = 2 ** 20;

const FIELDS = {
  family: oneOf(['resnet']),
  block: oneOf(Object.keys(BLOCKS)),
  layers: listOf(integer(1, MAX_STAGE_BLOCKS)),
  numClasses: optional(integer(1, MAX_CLASSES)),
  groups: optional(integer(1, MAX_GROUPS)),
  widthPerGroup: optional(integer(1, MAX_GROUPS)),
  replaceStrideWithDilation: optional(listOf(readBoolean)),
  shortcut: optional(oneOf(SHORTCUTS)),
  stem: optional(oneOf(STEMS)),
};

/**
 * The architecture from the JSON text of a file's metadata.
 * @throws WeightsFormatError
 */
export function parseArchitecture(text: string): ResNetArchitecture {
  const raw = readObject(readJson(text, 'the architecture'), 'the architecture', Object.keys(FIELDS));
  const entries = Object.entries(FIELDS).map(([name, read]) => [
    name,
    read(raw[name], `${name} of the architecture`),
  ]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as ResNetArchitecture;
}

/**
 * The network that an architecture describes.
 * @throws ResNetError `INVALID_ARGUMENT`, `UNSUPPORTED` where its parts do not fit each other.
 */
export function buildArchitecture({ family: _, block, layers, ...options }: ResNetArchitecture): ResNet {
  return new ResNet(BLOCKS[block], layers, options);
}
