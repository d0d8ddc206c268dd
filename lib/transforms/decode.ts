import type { Sharp } from 'sharp';
import { ResNetError } from '../errors.js';
import { checkInteger } from '../is.js';
import { type GifFrame, gifFrame, isPngGrey16, type JpegFrame, jpegFrame } from './headers.js';
import { type EncodedImage, type ImageSource, readImage } from './source.js';
import { clippedGreyToRgb, cmykToRgb, gifToRgb } from './to-rgb.js';

export type { ImageSource } from './source.js';

/** Where Pillow refuses a picture as a decompression bomb; a decoded picture of it takes half a gigabyte. */
export const DEFAULT_MAX_PIXELS = 178_956_970;

export interface DecodeOptions {
  /** Larger pictures are refused before they are decoded. Default: 178,956,970, as Pillow. */
  readonly maxPixels?: number;
  /**
   * Brings a JPEG whose shorter side has at least twice this many pixels down to it while decoding: large photographs
   * decode in a third of the time, not quite to the same pixels. Default: full size.
   */
  readonly shrinkTo?: number;
}

/** RGB pixels in rows from the top, 3 bytes a pixel, without gaps (HWC). */
export interface DecodedImage {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** The file's own size; another one than the pixels' only when `shrinkTo` made them fewer. */
  readonly fileWidth: number;
  readonly fileHeight: number;
}

/**
 * Decodes an image file to RGB as `PIL.Image.open(file).convert('RGB')` (Pillow 13) does, off the JavaScript thread:
 * colour profiles, gamma and EXIF orientation are ignored, alpha is dropped, the first frame counts, 16-bit grey is
 * clipped at 255, CMYK is taken without a profile. Equal byte for byte for PNG, GIF, WebP, TIFF and JPEG; AVIF differs
 * by a few levels at coloured edges.
 * @param source a path, or the bytes of a file (copied: the caller may reuse them at once).
 * @throws ResNetError `FILE` (absent, not readable), `IMAGE_DECODE` (no image, damaged, truncated, too many pixels),
 * `INVALID_ARGUMENT` (a URL; options).
 */
export async function decodeImage(source: ImageSource, options: DecodeOptions = {}): Promise<DecodedImage> {
  const maxPixels = checkInteger('maxPixels', options.maxPixels ?? DEFAULT_MAX_PIXELS, 1);
  if (options.shrinkTo !== undefined) checkInteger('shrinkTo', options.shrinkTo, 1);
  return decodeEncoded(await readImage(source), { maxPixels, shrinkTo: options.shrinkTo });
}

/** `decodeImage` of an image that has been read. @throws ResNetError `IMAGE_DECODE`. */
export async function decodeEncoded(
  image: EncodedImage,
  { maxPixels, shrinkTo }: { maxPixels: number; shrinkTo: number | undefined },
): Promise<DecodedImage> {
  try {
    return await decodeByFormat(image, maxPixels, shrinkTo);
  } catch (error) {
    const reason = (error as Error).message.trim().replace(/\s*\n\s*/g, '; ');
    throw new ResNetError('IMAGE_DECODE', `Cannot decode ${image.name}: ${reason}`, { cause: error });
  }
}

async function decodeByFormat(image: EncodedImage, maxPixels: number, shrinkTo: number | undefined) {
  // Loaded with the first image: it takes 20 MB, which those who bring pixels need not spend.
  const { default: sharp } = await import('sharp');
  const pipeline = sharp(image.bytes, {
    ignoreIcc: true,
    // As lenient as Pillow: what is cut off fails, what is merely odd does not.
    failOn: 'truncated',
    limitInputPixels: maxPixels,
  });
  switch (image.format) {
    case 'jpeg':
      return decodeJpeg(pipeline, jpegFrame(image.bytes), shrinkTo);
    case 'png':
      return isPngGrey16(image.bytes) ? decodeGrey16(pipeline) : decodeRgb(pipeline);
    case 'gif':
      return decodeGif(pipeline, gifFrame(image.bytes));
    case 'tiff':
      return decodeTiff(pipeline);
    default:
      return decodeRgb(pipeline);
  }
}

async function decodeRgb(pipeline: Sharp): Promise<DecodedImage> {
  const { data, info } = await pipeline
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return decoded(data, info);
}

/** A plain Uint8Array over sharp's Buffer: their slice() differ. */
function decoded(pixels: Uint8Array, { width, height }: { width: number; height: number }): DecodedImage {
  const data = new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length);
  return { data, width, height, fileWidth: width, fileHeight: height };
}

async function decodeJpeg(
  pipeline: Sharp,
  frame: JpegFrame | undefined,
  shrinkTo: number | undefined,
): Promise<DecodedImage> {
  if (frame?.components === 4) return decodeCmyk(pipeline);
  const shrunk = frame && shrinkTo && shrunkSize(frame, shrinkTo);
  if (!shrunk) return decodeRgb(pipeline);
  // sharp has the decoder do most of it (DCT scaling) and resamples the rest.
  const resized = pipeline.resize({ ...shrunk, fit: 'fill', fastShrinkOnLoad: true });
  return { ...(await decodeRgb(resized)), fileWidth: frame.width, fileHeight: frame.height };
}

/** The size with the shorter side at `shrinkTo`, or undefined where that is not at least a halving. */
export function shrunkSize({ width, height }: JpegFrame, shrinkTo: number) {
  const scale = shrinkTo / Math.min(width, height);
  if (scale > 0.5) return undefined;
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

async function decodeCmyk(pipeline: Sharp): Promise<DecodedImage> {
  const { data, info } = await pipeline
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw()
    .toBuffer({ resolveWithObject: true });
  return decoded(await cmykToRgb(data), info);
}

async function decodeGrey16(pipeline: Sharp): Promise<DecodedImage> {
  const { data, info } = await pipeline
    .removeAlpha()
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true });
  return decoded(
    await clippedGreyToRgb(new Uint16Array(data.buffer, data.byteOffset, data.length / 2)),
    info,
  );
}

async function decodeGif(pipeline: Sharp, frame: GifFrame | undefined): Promise<DecodedImage> {
  if (!frame) return decodeRgb(pipeline);
  const { data, info } = await pipeline.ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return decoded(await gifToRgb(data, info.width, frame), info);
}

/** TIFF is the one format whose orientation Pillow applies when it loads the pixels. */
async function decodeTiff(pipeline: Sharp): Promise<DecodedImage> {
  const { space, channels } = await pipeline.metadata();
  const oriented = pipeline.autoOrient();
  if (space === 'cmyk') return decodeCmyk(oriented);
  if (space === 'grey16' && channels === 1) return decodeGrey16(oriented);
  return decodeRgb(oriented);
}
