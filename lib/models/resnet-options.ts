import { checkInteger, checkOneOf, checkOptions, invalid } from '../is.js';
import { BatchNorm2d } from '../nn/batch-norm.js';
import { Module } from '../nn/module.js';

/** Makes the normalisation of a number of channels: `(channels) => new nn.BatchNorm2d(channels)`. */
export type NormLayer = (channels: number) => Module;

export const batchNorm: NormLayer = (channels) => new BatchNorm2d(channels);

export const SHORTCUTS = ['projection', 'zero-pad', 'projection-all', 'none'] as const;
export const STEMS = ['imagenet', 'cifar'] as const;

export interface ResNetOptions {
  /** Default 1000. */
  readonly numClasses?: number;
  /** Of each 3×3 convolution in a Bottleneck: 32 in ResNeXt. Default 1. */
  readonly groups?: number;
  /** Channels of a group in the first stage. Default 64. */
  readonly widthPerGroup?: number;
  /** Whether the last normalisation of each block starts at zero. Default false. */
  readonly zeroInitResidual?: boolean;
  /** For each stage after the first, whether it dilates its 3×3 convolutions instead of striding. Default: none. */
  readonly replaceStrideWithDilation?: readonly boolean[];
  /** Default: BatchNorm2d. */
  readonly normLayer?: NormLayer;
  /**
   * Where shapes change: 'projection' by a 1×1 convolution (default; the paper's option B) or 'zero-pad' (A).
   * 'projection-all' projects in every block (C); 'none' has no shortcuts at all: the paper's plain network.
   */
  readonly shortcut?: (typeof SHORTCUTS)[number];
  /** 'imagenet' (default), or 'cifar': a 3×3 stem, no pooling, three stages of 16, 32 and 64 planes. */
  readonly stem?: (typeof STEMS)[number];
}

/** The constructor's arguments, checked and with their defaults. */
export interface ResNetConfiguration extends Omit<Required<ResNetOptions>, 'replaceStrideWithDilation'> {
  readonly layers: readonly [number, number, number, number?];
  readonly replaceStrideWithDilation: readonly [boolean, boolean, boolean?];
}

export const RESNET_OPTIONS = [
  'numClasses',
  'groups',
  'widthPerGroup',
  'zeroInitResidual',
  'replaceStrideWithDilation',
  'normLayer',
  'shortcut',
  'stem',
];

/** @throws ResNetError `INVALID_ARGUMENT`. */
export function checkResNetOptions(layers: unknown, options: ResNetOptions): ResNetConfiguration {
  checkOptions('ResNet', options, RESNET_OPTIONS);
  const stem = checkOneOf('stem', options.stem ?? 'imagenet', STEMS);
  const stages = stem === 'cifar' ? 3 : 4;
  return {
    numClasses: checkInteger('numClasses', options.numClasses ?? 1000, 1),
    groups: checkInteger('groups', options.groups ?? 1, 1),
    widthPerGroup: checkInteger('widthPerGroup', options.widthPerGroup ?? 64, 1),
    zeroInitResidual: options.zeroInitResidual ?? false,
    replaceStrideWithDilation: checkDilate(options.replaceStrideWithDilation, stages - 1),
    normLayer: checkNormLayer(options.normLayer ?? batchNorm),
    shortcut: checkOneOf('shortcut', options.shortcut ?? 'projection', SHORTCUTS),
    stem,
    layers: checkLayers(layers, stages),
  };
}

function checkLayers(layers: unknown, stages: number): ResNetConfiguration['layers'] {
  if (!Array.isArray(layers) || layers.length !== stages) {
    throw invalid('layers', `a list of ${stages} integers`, layers);
  }
  for (const [i, blocks] of layers.entries()) checkInteger(`layers[${i}]`, blocks, 1);
  return layers as [number, number, number, number?];
}

function checkDilate(
  dilate: readonly boolean[] | undefined,
  stages: number,
): ResNetConfiguration['replaceStrideWithDilation'] {
  if (dilate === undefined) return [false, false, false];
  const good =
    Array.isArray(dilate) && dilate.length === stages && dilate.every((d) => typeof d === 'boolean');
  if (!good) throw invalid('replaceStrideWithDilation', `a list of ${stages} booleans`, dilate);
  return dilate as [boolean, boolean, boolean?];
}

function checkNormLayer(normLayer: NormLayer): NormLayer {
  if (typeof normLayer !== 'function' || normLayer.prototype instanceof Module) {
    throw invalid('normLayer', 'a function like (channels) => new nn.BatchNorm2d(channels)', normLayer);
  }
  return normLayer;
}
