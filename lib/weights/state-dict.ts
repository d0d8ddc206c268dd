import { WeightsFormatError } from '../errors.js';
import type { StoredValues } from '../graph/parameters.js';
import { checkOneOf, describe, invalid } from '../is.js';
import { alignedBytes } from '../runtime/memory.js';
import { shapeSize } from '../shape.js';

/**
 * The dtypes a state dict may hold, by their torch names, with the type of their data. Not every Node has arrays of half
 * precision, so float16 and bfloat16 are the raw 16 bits; bool is a byte a value.
 */
export const DTYPES = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

export type StateDType = keyof typeof DTYPES;
export type StateData = InstanceType<(typeof DTYPES)[StateDType]>;

/** A named array of a state dict, dense and in row-major order: a convolution's weight is [out, in / groups, h, w]. */
export interface StateTensor {
  readonly dtype: StateDType;
  readonly shape: readonly number[];
  readonly data: StateData;
  /** Where it is as long as it has not been read into `data`: in a model whose file has it as it would be in memory. */
  readonly stored?: StoredValues | undefined;
}

/** Tensors by name, in the order of the file or of the model. */
export type StateDict = Map<string, StateTensor>;

/** Bytes of one element. */
export function itemSize(dtype: StateDType): number {
  return DTYPES[dtype].BYTES_PER_ELEMENT;
}

/**
 * Elements of a tensor of `shape`, which comes from a file and is not trusted.
 * @throws WeightsFormatError when a size is no non-negative integer or the product is beyond 2^53.
 */
export function elementCount(name: string, shape: readonly unknown[]): number {
  let count = 1;
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw new WeightsFormatError(`${name}: its shape holds ${describe(size)}, which is no size`);
    count *= size;
    if (!Number.isSafeInteger(count))
      throw new WeightsFormatError(`${name}: its shape has over 2^53 elements`);
  }
  return count;
}

/** A tensor over bytes that hold exactly its elements: a view where they are aligned for `dtype`, else a copy. */
export function tensorOver(bytes: Uint8Array, dtype: StateDType, shape: readonly number[]): StateTensor {
  const size = itemSize(dtype);
  const aligned = alignedBytes(bytes, size);
  const data = new DTYPES[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.length / size);
  return { dtype, shape: Object.freeze([...shape]), data };
}

/** @throws ResNetError `INVALID_ARGUMENT` unless a caller's tensor is one, with as much data as its shape says. */
export function checkStateTensor(key: string, tensor: StateTensor): void {
  if (typeof key !== 'string') throw invalid('the key of a tensor', 'a string', key);
  checkOneOf(`the dtype of ${key}`, tensor?.dtype, Object.keys(DTYPES) as StateDType[]);
  if (tensor.stored) return;
  const { shape, data } = tensor;
  const arrayType = DTYPES[tensor.dtype];
  if (!(data instanceof arrayType)) throw invalid(`the data of ${key}`, `a ${arrayType.name}`, data);
  if (!Array.isArray(shape) || shapeSize(shape) !== data.length)
    throw invalid(`the shape of ${key}`, `sizes with ${data.length} elements in all`, shape);
}
