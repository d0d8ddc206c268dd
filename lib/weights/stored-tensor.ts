import type { FileDType, StoredData, StoredValues } from '../graph/parameters.js';
import { allocateBytes } from '../runtime/memory.js';
import { shapeSize } from '../shape.js';
import { toFloat32 } from './convert.js';
import type { OpenFile } from './open-file.js';
import { itemSize, type StateData, type StateTensor, tensorOver } from './state-dict.js';

/** Smaller tensors are read with their file: reading each by itself later would cost more than they hold. */
const LEAST_BYTES = 64 * 1024;

const FILE_DTYPES: ReadonlySet<string> = new Set<FileDType>(['float32', 'int8', 'float16', 'bfloat16']);

/** A tensor of a model that is still in its file, which it keeps open. */
export class StoredTensor implements StateTensor, StoredValues {
  readonly shape: readonly number[];

  constructor(
    readonly file: OpenFile,
    /** Of its first byte. */
    readonly position: number,
    readonly dtype: FileDType,
    shape: readonly number[],
  ) {
    this.shape = Object.freeze([...shape]);
    file.keep();
  }

  /** Read anew each time. @throws ResNetError `FILE`, also when the file was written to since it was opened. */
  get data(): StateData {
    const bytes = allocateBytes(shapeSize(this.shape) * itemSize(this.dtype));
    this.file.readSync(bytes, this.position);
    return tensorOver(bytes, this.dtype, this.shape).data;
  }

  get stored(): StoredValues {
    return this;
  }

  read(): StoredData {
    const { dtype, shape, data } = this;
    return (dtype === 'int8' ? data : toFloat32({ dtype, shape, data })) as StoredData;
  }
}

/** Whether native code reads a tensor as the file has it, and it is worth leaving there. */
export function canStayInFile<T extends Pick<StateTensor, 'dtype' | 'shape'>>(
  tensor: T,
): tensor is T & { readonly dtype: FileDType } {
  const { dtype, shape } = tensor;
  return FILE_DTYPES.has(dtype) && shapeSize(shape) * itemSize(dtype) >= LEAST_BYTES;
}
