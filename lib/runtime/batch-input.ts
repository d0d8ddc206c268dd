import { ResNetError } from '../errors.js';
import { invalid, show } from '../is.js';
import { Tensor } from '../tensor.js';
import type { NativeInput } from './native.js';

/** What a session takes. */
export interface InputLimits {
  /** Of the images. */
  readonly channels: number;
  /** The largest batch. */
  readonly maxBatch: number;
}

/**
 * Checks that `input` is a batch of images that a session takes, and reads its sizes.
 * @throws ResNetError `INVALID_ARGUMENT`, `INVALID_SHAPE`.
 */
export function checkBatch(input: Tensor, { channels, maxBatch }: InputLimits): NativeInput {
  if (!(input instanceof Tensor)) throw invalid('input', 'a Tensor', input);
  const { data, shape, layout } = input;
  const [n, h, w, c] = batchSizes(input);
  if (c !== channels) {
    throw shapeError(`Expected images of ${channels} channels but received ${show(shape)}, ${layout}`);
  }
  if (n * h * w === 0) {
    throw shapeError(`Expected at least one image and one pixel but received ${show(shape)}, ${layout}`);
  }
  if (n > maxBatch) {
    const advice = `split the batch, or compile with maxBatch: ${n}`;
    throw shapeError(`Expected at most ${maxBatch} images but received ${n}: ${advice}`);
  }
  if (data.length !== n * h * w * c) {
    throw invalid('input', 'a tensor that still has its data', 'one whose buffer was detached');
  }
  return { data, layout, n, h, w };
}

type BatchSizes = [n: number, h: number, w: number, c: number];

function batchSizes({ shape, layout }: Tensor): BatchSizes {
  if (shape.length !== 4) {
    const order = layout === 'NHWC' ? '[n, h, w, c]' : '[n, c, h, w]';
    throw shapeError(`Expected a batch ${order} but received ${show(shape)}; one image is a batch of 1`);
  }
  return (layout === 'NHWC' ? shape : [0, 2, 3, 1].map((i) => shape[i])) as BatchSizes;
}

function shapeError(message: string): ResNetError {
  return new ResNetError('INVALID_SHAPE', message);
}
