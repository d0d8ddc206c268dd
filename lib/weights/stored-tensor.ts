import type { ParameterDType, StoredData, StoredValues } from '../graph/parameters.js';
import { allocateBytes } from '../runtime/memory.js';
import { shapeSize } from '../shape.js';
import type { OpenFile } from './open-file.js';
import { itemSize, type StateTensor, tensorOver } from './state-dict.js';

/** Smaller tensors are read with their file: reading each by itself later would cost more than they hold. */
const LEAST_BYTES = 64 * 1024;

/** A tensor of a model that is still in its file, which it keeps open. */
export class StoredTensor implements StateTensor, StoredValues {
  readonly shape: readonly number[];

  constructor(
    readonly file: OpenFile,
    /** Of its first byte. */
    readonly position: number,
    readonly dtype: ParameterDType,
    shape: readonly number[],
  ) {
    this.shape = Object.freeze([...shape]);
    file.keep();
  }

  /** Read anew each time. @throws ResNetError `FILE`, also when the file was written to since it was opened. */
  get data(): StoredData {
    return this.read();
  }

  get stored(): StoredValues {
    return this;
  }

  read(): StoredData {
    const bytes = allocateBytes(shapeSize(this.shape) * itemSize(this.dtype));
    this.file.readSync(bytes, this.position);
    return tensorOver(bytes, this.dtype, this.shape).data as StoredData;
  }
}

/** Whether a tensor needs no conversion, and is worth leaving where it is. */
export function canStayInFile<T extends Pick<StateTensor, 'dtype' | 'shape'>>(
  tensor: T,
): tensor is T & { readonly dtype: ParameterDType } {
  const { dtype, shape } = tensor;
  return (dtype === 'float32' || dtype === 'int8') && shapeSize(shape) * itemSize(dtype) >= LEAST_BYTES;
}
