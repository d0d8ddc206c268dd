import { ResNetError } from '../errors.js';
import { show } from '../is.js';
import type { Results } from '../runtime/session.js';
import { toHalf } from './half.js';
import type { Block, Column, StoredDType } from './sinks/sink.js';

export interface FeatureSettings {
  /** Averages what has height and width over them, to rows of C. */
  readonly pool: boolean;
  /** Brings each row to an L2 norm of 1; rows of zeros stay what they are. */
  readonly normalize: boolean;
  readonly storeDtype: StoredDType;
}

/** How an output of shape [n, ...shape] is stored. Height and width of 1 are left out: `avgpool` is rows of C. */
export function columnOf(name: string, shape: readonly number[], settings: FeatureSettings): Column {
  const isMap = shape.length === 3;
  const flat = isMap && (settings.pool || (shape[1] === 1 && shape[2] === 1));
  return { name, shape: flat ? shape.slice(0, 1) : shape, dtype: settings.storeDtype };
}

/**
 * The rows of each column from the results of a batch.
 * @throws ResNetError `INVALID_SHAPE` when the images had another size than those that the columns are made for.
 */
export function encodeRows(
  results: Results,
  columns: readonly Column[],
  { pool, normalize, storeDtype }: FeatureSettings,
): Block[] {
  return columns.map((column) => {
    const { data, shape } = results[column.name] as Results[string];
    const rowShape = shape.slice(1);
    const pooled = pool && rowShape.length === 3;
    const values = pooled ? means(data, (rowShape[1] as number) * (rowShape[2] as number)) : data;
    const length = column.shape.reduce((product, size) => product * size, 1);
    if (values.length !== length * (shape[0] as number)) {
      throw new ResNetError(
        'INVALID_SHAPE',
        `Expected rows of ${show(column.shape)} for ${column.name} but an image gives ${show(rowShape)}: ` +
          'the transform must bring all images to one size',
      );
    }
    const rows = normalize ? normalized(values, length) : values;
    return storeDtype === 'float16' ? toHalf(rows) : rows;
  });
}

/** The mean of every `size` neighbours, summed in float64. */
function means(data: Float32Array, size: number): Float32Array {
  const result = new Float32Array(data.length / size);
  for (let i = 0; i < result.length; i++) {
    let sum = 0;
    for (let j = i * size; j < (i + 1) * size; j++) sum += data[j] as number;
    result[i] = sum / size;
  }
  return result;
}

function normalized(data: Float32Array, length: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let start = 0; start < data.length; start += length) {
    let squares = 0;
    for (let i = start; i < start + length; i++) squares += (data[i] as number) ** 2;
    const norm = Math.sqrt(squares) || 1;
    for (let i = start; i < start + length; i++) result[i] = (data[i] as number) / norm;
  }
  return result;
}
