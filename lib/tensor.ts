import { ResNetError } from './errors.js';
import { checkOptions, invalid } from './is.js';
import { native } from './runtime/native.js';
import { shapeSize } from './shape.js';

export type TensorDType = 'uint8' | 'float32';
export type Layout = 'NHWC' | 'NCHW';
export type TensorData = Uint8Array | Float32Array;

/**
 * A dense array with a shape: what goes into a session and what comes out.
 *
 * Inputs are batches of images: uint8 is always NHWC, float32 is NCHW unless `layout` says otherwise. Results are
 * float32 and NCHW. A Tensor does not own its data: it is a view of the typed array it was made from.
 */
export class Tensor<D extends TensorData = TensorData> {
  private constructor(
    readonly data: D,
    readonly shape: readonly number[],
    readonly dtype: D extends Uint8Array ? 'uint8' : 'float32',
    /** How images lie in memory; of no meaning for tensors of other ranks. */
    readonly layout: Layout,
  ) {}

  /**
   * Wraps float32 values, not copied. As input of a session they count as already normalised.
   * @param shape e.g. [n, 3, h, w], or [n, h, w, 3] with `layout: 'NHWC'`. Default layout: NCHW.
   * @throws ResNetError `INVALID_ARGUMENT` for other types, `INVALID_SHAPE` when the sizes disagree.
   */
  static fromFloat32(data: Float32Array, shape: readonly number[], options: { layout?: Layout } = {}) {
    if (!(data instanceof Float32Array)) throw invalid('data', 'a Float32Array', data);
    checkOptions('Tensor', options, ['layout']);
    const layout = options.layout ?? 'NCHW';
    if (layout !== 'NCHW' && layout !== 'NHWC') throw invalid('layout', '"NCHW" or "NHWC"', layout);
    return new Tensor(data, checkedShape(data, shape), 'float32', layout);
  }

  /**
   * Wraps uint8 pixels, not copied: [n, h, w, c] as a session takes them, or [h, w, c] for one image.
   * @throws ResNetError `INVALID_ARGUMENT` for other types, `INVALID_SHAPE` when the sizes disagree.
   */
  static fromUint8(data: Uint8Array, shape: readonly number[]) {
    if (!(data instanceof Uint8Array)) throw invalid('data', 'a Uint8Array', data);
    return new Tensor(data, checkedShape(data, shape), 'uint8', 'NHWC');
  }

  /**
   * A zeroed tensor in memory of the addon's. A session reads such a tensor in place, without the copy it makes of
   * other memory; do not write to it while a run that got it is under way.
   * @throws ResNetError `INVALID_ARGUMENT`, `INVALID_SHAPE`, or `OUT_OF_MEMORY`.
   */
  static allocate(shape: readonly number[], dtype: TensorDType, options: { layout?: Layout } = {}): Tensor {
    if (dtype !== 'uint8' && dtype !== 'float32') throw invalid('dtype', '"uint8" or "float32"', dtype);
    const count = elementCount(shape);
    const buffer = native().allocate(count * (dtype === 'uint8' ? 1 : 4));
    return dtype === 'uint8'
      ? Tensor.fromUint8(new Uint8Array(buffer, 0, count), shape)
      : Tensor.fromFloat32(new Float32Array(buffer, 0, count), shape, options);
  }
}

function elementCount(shape: readonly number[]): number {
  const good = Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!good)
    throw new ResNetError(
      'INVALID_SHAPE',
      `Expected a shape of non-negative integers but received [${shape}]`,
    );
  const count = shapeSize(shape);
  if (!Number.isSafeInteger(count))
    throw new ResNetError('INVALID_SHAPE', `The shape [${shape}] is too large`);
  return count;
}

function checkedShape(data: TensorData, shape: readonly number[]): readonly number[] {
  const count = elementCount(shape);
  if (count !== data.length) {
    throw new ResNetError(
      'INVALID_SHAPE',
      `The shape [${shape}] has ${count} elements but the data has ${data.length}`,
    );
  }
  return Object.freeze([...shape]);
}
