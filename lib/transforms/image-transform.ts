import { checkInteger, invalid } from '../is.js';

/**
 * How a picture becomes input: the shorter side is resized to `resizeSize`, the centre `cropSize` square is cut out,
 * and pixels become (x / 255 - mean) / std for each channel.
 */
export interface ImageTransform {
  readonly resizeSize: number;
  readonly cropSize: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** torchvision's preset for classifiers trained on ImageNet. */
export const IMAGENET_TRANSFORM: ImageTransform = Object.freeze({
  resizeSize: 256,
  cropSize: 224,
  mean: Object.freeze([0.485, 0.456, 0.406]),
  std: Object.freeze([0.229, 0.224, 0.225]),
});

/** Of the sizes asked for: a crop of it takes 0.8 GB. */
export const MAX_SIZE = 1 << 14;

/**
 * The four fields of `transform`, and nothing else that it has; a function may have them.
 * @param channels that there must be a mean and a standard deviation for. Default: as many as there are means.
 * @throws ResNetError `INVALID_ARGUMENT`.
 */
export function checkedImageTransform(transform: ImageTransform, channels?: number): ImageTransform {
  const { resizeSize, cropSize, mean, std } = transform ?? {};
  const count = channels ?? mean?.length;
  return {
    resizeSize: checkInteger('resizeSize', resizeSize, 1, MAX_SIZE),
    cropSize: checkInteger('cropSize', cropSize, 1, MAX_SIZE),
    mean: checkedChannels('mean', mean, count, (value) => Number.isFinite(value), 'finite numbers'),
    std: checkedChannels(
      'std',
      std,
      count,
      (value) => Number.isFinite(value) && value > 0,
      'positive numbers',
    ),
  };
}

function checkedChannels(
  name: string,
  values: readonly number[],
  count: number | undefined,
  isGood: (value: number) => boolean,
  what: string,
): readonly number[] {
  const good = Array.isArray(values) && values.length > 0 && values.length === count && values.every(isGood);
  if (!good) throw invalid(name, `${count ?? 'a list of'} ${what} (one a channel)`, values);
  return Object.freeze([...values]);
}
