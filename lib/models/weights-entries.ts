import { ResNetError } from '../errors.js';
import { checkOneOf, didYouMean, invalid, show } from '../is.js';
import { type ClassificationTransform, classification } from '../transforms/classification.js';
import type { ImageTransform } from '../transforms/image-transform.js';
import { IMAGENET_CATEGORIES } from './data/imagenet-categories.js';
import { WEIGHTS_FACTS } from './data/weights-facts.js';

// torchvision's weights enums: `ResNet50_Weights.IMAGENET1K_V2` and so on, as objects.

/** What is known of pretrained weights. */
export interface WeightsMeta {
  /** In the order of the logits. */
  readonly categories: readonly string[];
  readonly numParams: number;
  /** On ImageNet-1K's validation images, in per cent. */
  readonly accuracy: { readonly top1: number; readonly top5: number };
  /** Billions of multiply-adds for one image, as torchvision counts them. */
  readonly gflops: number;
  /** Of the file. */
  readonly megabytes: number;
  /** Where it says how they were trained. */
  readonly recipe: string;
}

/** One entry of a weights enum. */
export class WeightsEntry {
  constructor(
    /** Of the enum: `ResNet50_Weights`. */
    readonly enumName: string,
    /** Of the entry: `IMAGENET1K_V2`. */
    readonly name: string,
    readonly url: string,
    readonly transform: ImageTransform,
    readonly meta: WeightsMeta,
  ) {}

  /** The preprocessing that the weights were trained with: `await weights.transforms()('cat.jpg')`. */
  transforms(): ClassificationTransform {
    return classification(this.transform);
  }

  /** `ResNet50_Weights.IMAGENET1K_V2`: what `getWeight` takes. */
  toString(): string {
    return `${this.enumName}.${this.name}`;
  }
}

/** The entries for one architecture by name. DEFAULT is the best of them, and no entry of its own when listed. */
export type WeightsEnum<Name extends string = string> = Readonly<Record<Name, WeightsEntry>> & {
  readonly DEFAULT: WeightsEntry;
};

type EnumName = keyof typeof WEIGHTS_FACTS;

type EntryName<E extends EnumName> = keyof (typeof WEIGHTS_FACTS)[E]['entries'] & string;

function weightsEnum<E extends EnumName>(enumName: E): WeightsEnum<EntryName<E>> {
  const { entries, default: best } = WEIGHTS_FACTS[enumName];
  const result: Record<string, WeightsEntry> = {};
  for (const [name, facts] of Object.entries(entries)) {
    const { url, resizeSize, cropSize, mean, std, top1, top5, ...rest } = facts;
    const meta = { categories: IMAGENET_CATEGORIES, accuracy: { top1, top5 }, ...rest };
    result[name] = new WeightsEntry(enumName, name, url, { resizeSize, cropSize, mean, std }, meta);
  }
  Object.defineProperty(result, 'DEFAULT', { value: result[best], enumerable: false });
  return Object.freeze(result) as WeightsEnum<EntryName<E>>;
}

export const ResNet18_Weights = weightsEnum('ResNet18_Weights');
export const ResNet34_Weights = weightsEnum('ResNet34_Weights');
export const ResNet50_Weights = weightsEnum('ResNet50_Weights');
export const ResNet101_Weights = weightsEnum('ResNet101_Weights');
export const ResNet152_Weights = weightsEnum('ResNet152_Weights');
export const ResNeXt50_32X4D_Weights = weightsEnum('ResNeXt50_32X4D_Weights');
export const ResNeXt101_32X8D_Weights = weightsEnum('ResNeXt101_32X8D_Weights');
export const ResNeXt101_64X4D_Weights = weightsEnum('ResNeXt101_64X4D_Weights');
export const Wide_ResNet50_2_Weights = weightsEnum('Wide_ResNet50_2_Weights');
export const Wide_ResNet101_2_Weights = weightsEnum('Wide_ResNet101_2_Weights');

/** Every enum by its name. */
export const WEIGHTS_ENUMS: Readonly<Record<EnumName, WeightsEnum>> = {
  ResNet18_Weights,
  ResNet34_Weights,
  ResNet50_Weights,
  ResNet101_Weights,
  ResNet152_Weights,
  ResNeXt50_32X4D_Weights,
  ResNeXt101_32X8D_Weights,
  ResNeXt101_64X4D_Weights,
  Wide_ResNet50_2_Weights,
  Wide_ResNet101_2_Weights,
};

/**
 * The entry of a full name such as `ResNet50_Weights.IMAGENET1K_V2` or `ResNet50_Weights.DEFAULT`.
 * @throws ResNetError `INVALID_ARGUMENT`, with the nearest name there is.
 */
export function getWeight(name: string): WeightsEntry {
  if (typeof name !== 'string') throw invalid('the name of weights', 'a string', name);
  const names = allNames();
  const entry = names.get(name);
  if (entry) return entry;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    `There are no weights ${show(name)}${didYouMean(name, names.keys())}; names look like ResNet50_Weights.DEFAULT`,
  );
}

/**
 * The entry of one architecture's enum that is meant by an entry, by its name ('IMAGENET1K_V2', 'DEFAULT') or by its
 * full name.
 * @throws ResNetError `INVALID_ARGUMENT` for others, those of other architectures included.
 */
export function verifyWeights(weights: WeightsEnum, wanted: unknown): WeightsEntry {
  const { enumName } = weights.DEFAULT;
  if (typeof wanted === 'string') {
    const name = wanted.startsWith(`${enumName}.`) ? wanted.slice(enumName.length + 1) : wanted;
    return weights[checkOneOf('weights', name, Object.getOwnPropertyNames(weights))] as WeightsEntry;
  }
  const isEntry = wanted instanceof WeightsEntry;
  if (isEntry && weights[wanted.name] === wanted) return wanted;
  throw invalid('weights', `an entry of ${enumName} or its name`, isEntry ? String(wanted) : wanted);
}

function allNames(): Map<string, WeightsEntry> {
  const names = new Map<string, WeightsEntry>();
  for (const [enumName, weights] of Object.entries(WEIGHTS_ENUMS)) {
    for (const name of Object.getOwnPropertyNames(weights)) {
      names.set(`${enumName}.${name}`, weights[name] as WeightsEntry);
    }
  }
  return names;
}
