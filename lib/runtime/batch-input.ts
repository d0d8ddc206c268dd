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

/** Images that run together: in one tensor, or in several that are alike but for their number of images. */
export type BatchInput = Tensor | readonly Tensor[];

/**
 * Checks that `input` is a batch of images that a session takes, and reads its sizes.
 * @throws ResNetError `INVALID_ARGUMENT`, `INVALID_SHAPE`.
 */
export function checkBatch(input: BatchInput, limits: InputLimits): NativeInput {
  const [first, ...others] = (Array.isArray(input) ? input : [input]) as readonly Tensor[];
  if (first === undefined) throw invalid('input', 'a Tensor or several', input);
  const batch = checkTensor(first, limits);
  const parts = [...batch.parts];
  let { n } = batch;
  for (const other of others) {
    const next = checkTensor(other, limits);
    checkAlike(batch, next);
    parts.push(...next.parts);
    n += next.n;
  }
  checkCount(n, limits);
  return { ...batch, parts, n };
}

function checkTensor(input: Tensor, { channels, maxBatch }: InputLimits): NativeInput {
  if (!(input instanceof Tensor)) throw invalid('input', 'a Tensor', input);
  const { data, shape, layout } = input;
  const [n, h, w, c] = batchSizes(input);
  if (c !== channels) {
    throw shapeError(`Expected images of ${channels} channels but received ${show(shape)}, ${layout}`);
  }
  if (n * h * w === 0) {
    throw shapeError(`Expected at least one image and one pixel but received ${show(shape)}, ${layout}`);
  }
  checkCount(n, { maxBatch });
  if (data.length !== n * h * w * c) {
    throw invalid('input', 'a tensor that still has its data', 'one whose buffer was detached');
  }
  return { parts: [data], layout, n, h, w };
}

function checkCount(n: number, { maxBatch }: Pick<InputLimits, 'maxBatch'>): void {
  if (n <= maxBatch) return;
  const advice = `split the batch, or compile with maxBatch: ${n}`;
  throw shapeError(`Expected at most ${maxBatch} images but received ${n}: ${advice}`);
}

function checkAlike(first: NativeInput, other: NativeInput): void {
  const [expected, received] = [first, other].map(({ parts: [data], layout, h, w }) => {
    return `${data instanceof Uint8Array ? 'uint8' : 'float32'} ${layout} ${h}x${w}`;
  });
  if (expected === received) return;
  throw shapeError(`Expected the tensors of a batch to be alike but received ${expected} and ${received}`);
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
