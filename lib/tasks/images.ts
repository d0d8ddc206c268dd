import { ResNetError } from '../errors.js';
import { invalid, show } from '../is.js';
import { shapeSize } from '../shape.js';
import { Tensor } from '../tensor.js';
import type { ImageSource } from '../transforms/index.js';

/**
 * What stands for images: the path of a file, the bytes of one, or uint8 pixels, [h, w, c] for one image and
 * [n, h, w, c] for n. Files are decoded, resized and cropped; pixels are taken as they are.
 */
export type ImageInput = ImageSource | Tensor;

/** The pixels of one image, [h, w, c]. */
export type Pixels = Tensor<Uint8Array>;

/**
 * One source an image, in order: a tensor of n images becomes n views of it.
 * @throws ResNetError `INVALID_ARGUMENT` for what is no image input, `INVALID_SHAPE` for other tensors; both name the
 * item.
 */
export function eachImage(items: readonly ImageInput[], channels: number): (ImageSource | Pixels)[] {
  if (!Array.isArray(items)) throw invalid('items', 'a list of images', items);
  return items.flatMap((item: unknown, i): (ImageSource | Pixels)[] => {
    if (typeof item === 'string' || item instanceof Uint8Array) return [item];
    if (item instanceof Tensor) return imagesOf(item, channels, `items[${i}]`);
    throw invalid(`items[${i}]`, 'a path, the bytes of an image file, or a uint8 Tensor', item);
  });
}

function imagesOf(tensor: Tensor, channels: number, name: string): Pixels[] {
  const { data, shape } = tensor;
  if (!(data instanceof Uint8Array)) {
    throw invalid(name, 'uint8 pixels (session.run takes float32)', `a tensor of ${tensor.dtype}`);
  }
  const imageShape = shape.slice(-3);
  const size = shapeSize(imageShape);
  if (shape.length < 3 || shape.length > 4 || imageShape[2] !== channels || size === 0) {
    const expected = `[h, w, ${channels}] or [n, h, w, ${channels}]`;
    throw new ResNetError(
      'INVALID_SHAPE',
      `Expected the shape ${expected} for ${name} but received ${show(shape)}`,
    );
  }
  return Array.from({ length: data.length / size }, (_, i) =>
    Tensor.fromUint8(data.subarray(i * size, (i + 1) * size), imageShape),
  );
}

/** Images of one shape as a batch, [n, h, w, c], in memory that a session reads in place. */
export function stack(images: readonly [Pixels, ...Pixels[]]): Tensor {
  const [{ shape }] = images;
  const batch = Tensor.allocate([images.length, ...shape], 'uint8');
  for (const [i, { data }] of images.entries()) batch.data.set(data, i * data.length);
  return batch;
}
