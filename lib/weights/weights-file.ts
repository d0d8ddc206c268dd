import type { Metadata } from './safetensors.js';
import type { StateDict, StateTensor } from './state-dict.js';
import type { StoredTensor } from './stored-tensor.js';

/** A weights file whose tensors are known, and read when they are asked for. */
export interface WeightsFile {
  readonly tensors: ReadonlyMap<string, Pick<StateTensor, 'dtype' | 'shape'>>;
  /** The file's own, from safetensors; torch's files have none. */
  readonly metadata: Metadata;
  /**
   * Reads the tensors of these names as far as they are there, in the order of the file; all others are left on the
   * disk. The data is read straight into the memory that the tensors are views of.
   */
  read(names: ReadonlySet<string>): Promise<StateDict>;
  /** Those of the tensors of these names that can stay in the file until they are needed, and are worth it. */
  refer(names: ReadonlySet<string>): Promise<ReadonlyMap<string, StoredTensor>>;
}
