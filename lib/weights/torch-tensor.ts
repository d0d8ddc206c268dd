import { WeightsFormatError } from '../errors.js';
import { describe } from '../is.js';
import { allocateBytes } from '../runtime/memory.js';
import { shapeSize } from '../shape.js';
import {
  elementCount,
  itemSize,
  type StateData,
  type StateDType,
  type StateTensor,
  tensorOver,
} from './state-dict.js';

// What a torch file says of its tensors before any of their data is read.

/** Bytes that tensors are views of: all or a part of what the file keeps under a key. */
export class StorageRef {
  constructor(
    readonly key: string,
    readonly dtype: StateDType,
    readonly byteLength: number,
    /** Where among the bytes of that key these begin. */
    readonly byteOffset = 0,
  ) {}
}

/** torch's own limit. */
const MAX_RANK = 64;

/** A view of a storage: element [i, j, …] lies at offset + i·stride[0] + j·stride[1] + …, all in elements. */
export class TensorRef {
  private constructor(
    readonly storage: StorageRef,
    readonly dtype: StateDType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}

  /** @throws WeightsFormatError unless every element lies inside the storage. */
  static checked(
    storage: StorageRef,
    dtype: StateDType,
    offset: unknown,
    shape: unknown,
    stride: unknown,
  ): TensorRef {
    const name = `a tensor of storage ${describe(storage.key)}`;
    const sizes = checkedIntegers(name, 'shape', shape);
    const steps = checkedIntegers(name, 'strides', stride);
    const [start] = checkedIntegers(name, 'offset', [offset]) as [number];
    if (sizes.length !== steps.length)
      throw new WeightsFormatError(`${name} has ${sizes.length} sizes but ${steps.length} strides`);
    const last = sizes.reduce((at, size, axis) => at + (size - 1) * (steps[axis] as number), start);
    const end = elementCount(name, sizes) === 0 ? start : last + 1;
    if (end * itemSize(dtype) > storage.byteLength)
      throw new WeightsFormatError(
        `${name} reaches to element ${end}, but the storage has ${storage.byteLength / itemSize(dtype)}`,
      );
    return new TensorRef(storage, dtype, start, sizes, steps);
  }

  /** Whether the elements lie in row-major order without gaps, so that the storage can be used as it is. */
  get contiguous(): boolean {
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      const size = this.shape[axis] as number;
      if (size === 0) return true;
      if (size !== 1 && this.stride[axis] !== expected) return false;
      expected *= size;
    }
    return true;
  }

  /** Where among the bytes of its storage's key the first element lies. */
  get byteOffset(): number {
    return this.storage.byteOffset + this.offset * itemSize(this.dtype);
  }

  /** How much memory `over` takes beside the bytes: for what it gathers, and for what is not aligned for its dtype. */
  get copiedBytes(): number {
    const size = itemSize(this.dtype);
    const own = shapeSize(this.shape) * size;
    if (this.contiguous) return this.byteOffset % size === 0 ? 0 : own;
    return own + (this.storage.byteOffset % size === 0 ? 0 : this.storage.byteLength);
  }

  /**
   * The tensor over the bytes of its storage's key: a view if contiguous, else gathered into memory of its own.
   */
  over(bytes: Uint8Array): StateTensor {
    const size = itemSize(this.dtype);
    const count = shapeSize(this.shape);
    if (this.contiguous) {
      const start = this.byteOffset;
      return tensorOver(bytes.subarray(start, start + count * size), this.dtype, this.shape);
    }
    const { byteOffset, byteLength } = this.storage;
    const elements = bytes.subarray(byteOffset, byteOffset + byteLength - (byteLength % size));
    const whole = tensorOver(elements, this.dtype, []);
    const gathered = tensorOver(allocateBytes(count * size), this.dtype, this.shape);
    gather(whole.data, gathered.data, this);
    return gathered;
  }
}

function checkedIntegers(name: string, what: string, values: unknown): readonly number[] {
  if (!Array.isArray(values) || values.length > MAX_RANK)
    throw new WeightsFormatError(`${name} has ${describe(values)} for its ${what}`);
  for (const value of values) {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw new WeightsFormatError(
        `${name} has ${describe(value)} in its ${what}: expected integers from 0 on`,
      );
  }
  return values;
}

/** Copies the elements of a strided view in row-major order: an odometer over the axes, the last one as a loop. */
function gather(source: StateData, target: StateData, view: TensorRef): void {
  const { shape, stride } = view;
  const innerSize = shape.at(-1) ?? 1;
  const innerStride = stride.at(-1) ?? 0;
  const index = shape.map(() => 0);
  let start = view.offset;
  for (let written = 0; written < target.length; written += innerSize) {
    for (let i = 0; i < innerSize; i++) target[written + i] = source[start + i * innerStride] as never;
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      start += stride[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      if (index[axis] !== shape[axis]) break;
      start -= (stride[axis] as number) * (shape[axis] as number);
      index[axis] = 0;
    }
  }
}
