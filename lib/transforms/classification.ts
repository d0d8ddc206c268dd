import { ResNetError } from '../errors.js';
import { checkInteger, checkOneOf, checkOptions, invalid } from '../is.js';
import { type NativeAddon, type NativeCropGeometry, native } from '../runtime/native.js';
import { Tensor } from '../tensor.js';
import {
  DEFAULT_MAX_PIXELS,
  type DecodedImage,
  decodeEncoded,
  type ImageSource,
  shrunkSize,
} from './decode.js';
import { centreCrop, resizedSize, type Size } from './geometry.js';
import { jpegFrame } from './headers.js';
import { checkedImageTransform, IMAGENET_TRANSFORM, type ImageTransform } from './image-transform.js';
import { type EncodedImage, readImage } from './source.js';

/** How JPEGs are decoded. Where they are is `decode` of a classifier or extractor, beside its `transform`. */
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
   * Not to be mixed up with `decode` of `createClassifier`, which says where: on the host or the device.
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
  return classificationBy(() => native().resizeCropJpeg, options);
}

/** What makes a crop of a plain JPEG of that size; null for a file that another decoder has to look at. */
export type DecodeJpeg = NonNullable<NativeAddon['resizeCropJpeg']>;

/** The same with a decoder of plain JPEGs that is looked up for each image; undefined: there is none. */
export function classificationBy(
  decoder: () => DecodeJpeg | undefined,
  options: ClassificationOptions = {},
): ClassificationTransform {
  const settings = checkedSettings(options);
  const transform = async (image: ImageSource | Tensor) => {
    if (image instanceof Tensor) return resizeAndCrop(fromTensor(image), settings);
    const file = await readImage(image);
    return (
      (await transformPlainJpeg(file, settings, decoder())) ??
      resizeAndCrop(await decodeFor(settings, file), settings)
    );
  };
  const { resizeSize, cropSize, mean, std, decode } = settings;
  return Object.freeze(Object.assign(transform, { resizeSize, cropSize, mean, std, decode }));
}

interface Settings extends ImageTransform {
  readonly decode: DecodeMode;
  readonly maxPixels: number;
}

function checkedSettings(options: ClassificationOptions): Settings {
  checkOptions('classification', options, CLASSIFICATION_OPTIONS);
  const { maxPixels = DEFAULT_MAX_PIXELS, decode = 'exact', ...given } = options;
  const transform = { ...IMAGENET_TRANSFORM, ...withoutUndefined(given) };
  return {
    ...checkedImageTransform(transform, RGB),
    decode: checkDecodeMode(decode),
    maxPixels: checkInteger('maxPixels', maxPixels, 1),
  };
}

function checkDecodeMode(mode: unknown): DecodeMode {
  if (mode !== 'host' && mode !== 'device') return checkOneOf('decode', mode, ['exact', 'fast']);
  const elsewhere = 'where images are decoded is an option of createClassifier, beside `transform`';
  throw invalid('decode', `"exact" or "fast" (${elsewhere})`, mode);
}

function withoutUndefined<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** A decoded image, and what messages call it. */
interface NamedImage extends DecodedImage {
  readonly name: string;
}

async function decodeFor(settings: Settings, image: EncodedImage): Promise<NamedImage> {
  const { maxPixels } = settings;
  return { ...(await decodeEncoded(image, { maxPixels, shrinkTo: shrinkTo(settings) })), name: image.name };
}

/** What 'fast' decoding brings large JPEGs down to. */
function shrinkTo({ decode, resizeSize }: Settings): number | undefined {
  return decode === 'fast' ? 2 * resizeSize : undefined;
}

/** A plain JPEG in one go, where the addon can: the same pixels, in half the time. Undefined for any other file. */
async function transformPlainJpeg(
  { format, bytes, name }: EncodedImage,
  settings: Settings,
  decode: DecodeJpeg | undefined,
): Promise<Tensor<Uint8Array> | undefined> {
  const frame = decode && format === 'jpeg' ? jpegFrame(bytes) : undefined;
  if (!decode || !frame?.sequential || frame.width * frame.height > settings.maxPixels) return undefined;
  const shrinks = shrinkTo(settings);
  if (frame.width * frame.height === 0 || (shrinks && shrunkSize(frame, shrinks))) return undefined;
  const geometry = cropGeometry(frame, settings, name);
  const pixels = await decode(bytes, frame.height, frame.width, geometry);
  return pixels ? cropTensor(pixels, settings) : undefined;
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
  const fileSize = { width: image.fileWidth, height: image.fileHeight };
  const geometry = cropGeometry(fileSize, settings, image.name);
  const pixels = await native().resizeCrop(image.data, image.height, image.width, geometry);
  return cropTensor(pixels, settings);
}

/** @throws ResNetError `INVALID_SHAPE` when the resized image would be too large. */
function cropGeometry(image: Size, { resizeSize, cropSize }: Settings, name: string): NativeCropGeometry {
  const resized = resizedSize(image, resizeSize);
  if (Math.max(resized.width, resized.height) > MAX_SIDE) {
    throw new ResNetError(
      'INVALID_SHAPE',
      `${name}: ${image.width}x${image.height} pixels would be resized to ` +
        `${resized.width}x${resized.height}; sides of at most ${MAX_SIDE} are supported`,
    );
  }
  return {
    resizedHeight: resized.height,
    resizedWidth: resized.width,
    ...centreCrop(resized, cropSize),
    cropHeight: cropSize,
    cropWidth: cropSize,
  };
}

function cropTensor(pixels: Uint8Array, { cropSize }: Settings): Tensor<Uint8Array> {
  return Tensor.fromUint8(pixels, [cropSize, cropSize, RGB]) as Tensor<Uint8Array>;
}
