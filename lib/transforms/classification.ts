import { ResNetError } from '../errors.js';
import { checkInteger, checkOneOf, checkOptions } from '../is.js';
import { native } from '../runtime/native.js';
import { Tensor } from '../tensor.js';
import { type DecodedImage, decodeImage, type ImageSource } from './decode.js';
import { centreCrop, resizedSize } from './geometry.js';
import { checkedImageTransform, IMAGENET_TRANSFORM, type ImageTransform } from './image-transform.js';

export type DecodeMode = 'exact' | 'fast';

export interface ClassificationOptions {
  /** The shorter side becomes this long. Default: 256. */
  readonly resizeSize?: number;
  /** The side of the square cut from the middle, in pixels. Default: 224. */
  readonly cropSize?: number;
  /** Of red, green and blue, of pixels in [0, 1]. Default: ImageNet's. */
  readonly mean?: readonly number[];
  /** As `mean`. */
  readonly std?: readonly number[];
  /**
   * 'exact' (default): what torchvision gives on a PIL image, byte for byte. 'fast': the decoder brings JPEGs whose
   * shorter side is over 4 times `resizeSize` down to twice `resizeSize`; a 12-megapixel photograph decodes in a third of
   * the time, and pixels differ by 1 level of 255 on average (2 where `resizeSize` is under 50), by 30 at edges.
   */
  readonly decode?: DecodeMode;
  /** Larger pictures are refused. Default: 178,956,970, as Pillow. */
  readonly maxPixels?: number;
}

export const CLASSIFICATION_OPTIONS: readonly (keyof ClassificationOptions)[] = [
  'resizeSize',
  'cropSize',
  'mean',
  'std',
  'decode',
  'maxPixels',
];

/**
 * Makes one image what a network takes: uint8 [cropSize, cropSize, 3] (HWC, RGB). Not normalised: a session does that,
 * by the `mean` and `std` it was compiled with. Calls may overlap; decoding and resizing leave the event loop free.
 */
export interface ClassificationTransform extends ImageTransform {
  /**
   * @param image a path, the bytes of an image file, or a decoded image as uint8 Tensor [h, w, 3]. Bytes and tensors
   * are copied: the caller may reuse them at once.
   * @throws ResNetError `FILE`, `IMAGE_DECODE`, `INVALID_ARGUMENT`, `INVALID_SHAPE`, `OUT_OF_MEMORY`.
   */
  (image: ImageSource | Tensor): Promise<Tensor<Uint8Array>>;
  readonly decode: DecodeMode;
}

// Of sides after the resize: kMaxImageSide of native/image/resize.h.
const MAX_SIDE = 1 << 24;
const RGB = 3;

/**
 * torchvision's preset for classifiers (`ImageClassification` with bilinear, antialiased resizing): decode, resize, cut
 * out the centre. A crop larger than the resized picture is padded with zeros.
 * @throws ResNetError `INVALID_ARGUMENT` when an option is not what it should be.
 */
export function classification(options: ClassificationOptions = {}): ClassificationTransform {
  const settings = checkedSettings(options);
  const transform = async (image: ImageSource | Tensor) => {
    const decoded = image instanceof Tensor ? fromTensor(image) : await decodeFor(settings, image);
    return resizeAndCrop(decoded, settings);
  };
  const { resizeSize, cropSize, mean, std, decode } = settings;
  return Object.freeze(Object.assign(transform, { resizeSize, cropSize, mean, std, decode }));
}

interface Settings extends ImageTransform {
  readonly decode: DecodeMode;
  readonly maxPixels: number | undefined;
}

function checkedSettings(options: ClassificationOptions): Settings {
  checkOptions('classification', options, CLASSIFICATION_OPTIONS);
  const { maxPixels, decode = 'exact', ...given } = options;
  const transform = { ...IMAGENET_TRANSFORM, ...withoutUndefined(given) };
  return {
    ...checkedImageTransform(transform, RGB),
    decode: checkOneOf('decode', decode, ['exact', 'fast']),
    maxPixels: maxPixels === undefined ? undefined : checkInteger('maxPixels', maxPixels, 1),
  };
}

function withoutUndefined<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** A decoded image, and what messages call it. */
interface NamedImage extends DecodedImage {
  readonly name: string;
}

async function decodeFor(settings: Settings, source: ImageSource): Promise<NamedImage> {
  const decoded = await decodeImage(source, {
    ...(settings.maxPixels !== undefined && { maxPixels: settings.maxPixels }),
    ...(settings.decode === 'fast' && { shrinkTo: 2 * settings.resizeSize }),
  });
  return { ...decoded, name: typeof source === 'string' ? source : 'the image' };
}

function fromTensor(tensor: Tensor): NamedImage {
  const [height, width, channels] = tensor.shape;
  if (!(tensor.data instanceof Uint8Array) || tensor.shape.length !== 3 || channels !== 3) {
    throw new ResNetError(
      'INVALID_SHAPE',
      `Expected a uint8 Tensor [height, width, 3] as an image but received ${tensor.dtype} [${tensor.shape}]`,
    );
  }
  if (!height || !width || tensor.data.length === 0) {
    throw new ResNetError('INVALID_SHAPE', `The image is empty: [${tensor.shape}]`);
  }
  // A copy even of a Buffer, whose slice() is none.
  return {
    data: new Uint8Array(tensor.data),
    width,
    height,
    fileWidth: width,
    fileHeight: height,
    name: 'the image',
  };
}

async function resizeAndCrop(image: NamedImage, settings: Settings): Promise<Tensor<Uint8Array>> {
  const { cropSize } = settings;
  const resized = resizedSize({ width: image.fileWidth, height: image.fileHeight }, settings.resizeSize);
  if (Math.max(resized.width, resized.height) > MAX_SIDE) {
    throw new ResNetError(
      'INVALID_SHAPE',
      `${image.name}: ${image.fileWidth}x${image.fileHeight} pixels would be resized to ` +
        `${resized.width}x${resized.height}; sides of at most ${MAX_SIDE} are supported`,
    );
  }
  const pixels = await native().resizeCrop(image.data, image.height, image.width, {
    resizedHeight: resized.height,
    resizedWidth: resized.width,
    ...centreCrop(resized, cropSize),
    cropHeight: cropSize,
    cropWidth: cropSize,
  });
  return Tensor.fromUint8(pixels, [cropSize, cropSize, 3]) as Tensor<Uint8Array>;
}
