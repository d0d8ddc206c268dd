import { ResNetError } from '../errors.js';
import { checkOneOf, checkOptions, invalid } from '../is.js';
import { type DownloadProgress, fetchWeights } from '../weights/hub.js';
import { loadStateDict } from '../weights/load.js';
import { BasicBlock, type BlockType, Bottleneck, ResNet } from './resnet.js';
import { RESNET_OPTIONS, type ResNetOptions } from './resnet-options.js';
import * as entries from './weights-entries.js';

/** One of torchvision's named architectures. */
interface Architecture {
  readonly block: BlockType;
  readonly layers: readonly number[];
  readonly weights: entries.WeightsEnum;
  /** Options that make the architecture what it is. */
  readonly fixed?: ResNetOptions;
}

const ARCHITECTURES = {
  resnet18: { block: BasicBlock, layers: [2, 2, 2, 2], weights: entries.ResNet18_Weights },
  resnet34: { block: BasicBlock, layers: [3, 4, 6, 3], weights: entries.ResNet34_Weights },
  resnet50: { block: Bottleneck, layers: [3, 4, 6, 3], weights: entries.ResNet50_Weights },
  resnet101: { block: Bottleneck, layers: [3, 4, 23, 3], weights: entries.ResNet101_Weights },
  resnet152: { block: Bottleneck, layers: [3, 8, 36, 3], weights: entries.ResNet152_Weights },
  resnext50_32x4d: {
    block: Bottleneck,
    layers: [3, 4, 6, 3],
    weights: entries.ResNeXt50_32X4D_Weights,
    fixed: { groups: 32, widthPerGroup: 4 },
  },
  resnext101_32x8d: {
    block: Bottleneck,
    layers: [3, 4, 23, 3],
    weights: entries.ResNeXt101_32X8D_Weights,
    fixed: { groups: 32, widthPerGroup: 8 },
  },
  resnext101_64x4d: {
    block: Bottleneck,
    layers: [3, 4, 23, 3],
    weights: entries.ResNeXt101_64X4D_Weights,
    fixed: { groups: 64, widthPerGroup: 4 },
  },
  wide_resnet50_2: {
    block: Bottleneck,
    layers: [3, 4, 6, 3],
    weights: entries.Wide_ResNet50_2_Weights,
    fixed: { widthPerGroup: 128 },
  },
  wide_resnet101_2: {
    block: Bottleneck,
    layers: [3, 4, 23, 3],
    weights: entries.Wide_ResNet101_2_Weights,
    fixed: { widthPerGroup: 128 },
  },
} satisfies Record<string, Architecture>;

export type ModelName = keyof typeof ARCHITECTURES;

export interface BuilderOptions extends ResNetOptions {
  /** An entry of the architecture's weights, or its name. Default: none, and parameters drawn at random. */
  readonly weights?: entries.WeightsEntry | string | undefined;
  /** Told how the download of the weights goes, where there is one. */
  readonly progress?: DownloadProgress | undefined;
}

/**
 * Builds an architecture, with its weights where asked, which are downloaded unless they are in the cache.
 *
 * Rejects with ResNetError `INVALID_ARGUMENT` for options that fit neither each other nor the weights, `DOWNLOAD`, and
 * what `loadStateDict` throws.
 */
export type Builder = (options?: BuilderOptions) => Promise<ResNet>;

/** ResNet-18 from Deep Residual Learning for Image Recognition (He et al.), https://arxiv.org/abs/1512.03385. */
export const resnet18: Builder = (options) => getModel('resnet18', options);

/** ResNet-34. */
export const resnet34: Builder = (options) => getModel('resnet34', options);

/** ResNet-50, v1.5: the stride is on the 3×3 convolutions, as in all that follow. */
export const resnet50: Builder = (options) => getModel('resnet50', options);

/** ResNet-101. */
export const resnet101: Builder = (options) => getModel('resnet101', options);

/** ResNet-152. */
export const resnet152: Builder = (options) => getModel('resnet152', options);

/** ResNeXt-50 32×4d from Aggregated Residual Transformations (Xie et al.), https://arxiv.org/abs/1611.05431. */
export const resnext50_32x4d: Builder = (options) => getModel('resnext50_32x4d', options);

/** ResNeXt-101 32×8d. */
export const resnext101_32x8d: Builder = (options) => getModel('resnext101_32x8d', options);

/** ResNeXt-101 64×4d. */
export const resnext101_64x4d: Builder = (options) => getModel('resnext101_64x4d', options);

/** ResNet-50 twice as wide inside, from Wide Residual Networks (Zagoruyko et al.), https://arxiv.org/abs/1605.07146. */
export const wide_resnet50_2: Builder = (options) => getModel('wide_resnet50_2', options);

/** ResNet-101 twice as wide inside. */
export const wide_resnet101_2: Builder = (options) => getModel('wide_resnet101_2', options);

/** The names that `getModel` knows, sorted. */
export function listModels(): ModelName[] {
  return (Object.keys(ARCHITECTURES) as ModelName[]).sort();
}

/**
 * Builds the architecture of that name: `getModel('resnet50', options)` is `resnet50(options)`.
 * @throws ResNetError `INVALID_ARGUMENT` for an unknown name, with the nearest there is; else see `Builder`.
 */
export async function getModel(name: string, options: BuilderOptions = {}): Promise<ResNet> {
  const known = architecture(name);
  checkOptions('getModel', options, [...RESNET_OPTIONS, 'weights', 'progress']);
  return build(known, options);
}

/**
 * The weights enum of the architecture of that name.
 * @throws ResNetError `INVALID_ARGUMENT` for an unknown name, with the nearest there is.
 */
export function getModelWeights(name: string): entries.WeightsEnum {
  return architecture(name).weights;
}

function architecture(name: string): Architecture {
  if (typeof name !== 'string') throw invalid('the name of a model', 'a string', name);
  return ARCHITECTURES[checkOneOf('the name of a model', name.toLowerCase(), listModels())];
}

async function build(
  { block, layers, weights: available, fixed = {} }: Architecture,
  { weights, progress, ...options }: BuilderOptions,
): Promise<ResNet> {
  const entry = weights === undefined ? undefined : entries.verifyWeights(available, weights);
  const implied = entry ? { ...fixed, numClasses: entry.meta.categories.length } : fixed;
  const model = new ResNet(block, layers, withImplied(options, implied));
  if (!entry) return model;
  await loadStateDict(model, await fetchWeights(entry, { progress }));
  model.transform = entry.transform;
  model.categories = entry.meta.categories;
  return model;
}

/** Options with those that the architecture or its weights imply; another value for one of these is refused. */
function withImplied(options: ResNetOptions, implied: ResNetOptions): ResNetOptions {
  for (const [name, expected] of Object.entries(implied)) {
    const received = options[name as keyof ResNetOptions];
    if (received === undefined || received === expected) continue;
    throw new ResNetError(
      'INVALID_ARGUMENT',
      `Expected ${name} ${expected}, which the architecture or its weights imply, but received ${received}`,
    );
  }
  return { ...options, ...implied };
}
