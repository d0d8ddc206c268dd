import { WeightsFormatError } from '../errors.js';
import { findStateDict } from './checkpoint.js';
import type { ByteSource } from './source.js';
import { canStayInFile, StoredTensor } from './stored-tensor.js';
import type { TorchStorages } from './torch-storages.js';
import type { TensorRef } from './torch-tensor.js';
import type { WeightsFile } from './weights-file.js';

/** Views that have to be copied (transposed, expanded) may take this much more memory than the file. */
const MAX_COPIED_BYTES = 256 * 2 ** 20;
const MAX_COPIED_RATIO = 4;

/**
 * The weights file that one of torch's is, whatever its container.
 * @param root what its pickle holds.
 * @param storages those that the tensors are views of.
 * @throws WeightsFormatError when there is no state dict in it, or one that would take absurdly much memory.
 */
export function torchWeightsFile(source: ByteSource, root: unknown, storages: TorchStorages): WeightsFile {
  const tensors = findStateDict(root);
  checkCopiedSize(tensors, source.size);
  return {
    tensors,
    metadata: Object.create(null),
    async read(names) {
      const wanted = [...tensors].filter(([name]) => names.has(name));
      const contents = await storages.read(keysOf(wanted));
      return new Map(
        wanted.map(([name, tensor]) => [name, tensor.over(contents.get(tensor.storage.key) as Uint8Array)]),
      );
    },
    async refer(names) {
      const { file } = source;
      if (!file) return new Map();
      const wanted = [...tensors].flatMap(([name, tensor]) =>
        names.has(name) && tensor.contiguous && canStayInFile(tensor) ? [[name, tensor] as const] : [],
      );
      const positions = await storages.positions(keysOf(wanted));
      const stored = new Map<string, StoredTensor>();
      for (const [name, tensor] of wanted) {
        const start = positions.get(tensor.storage.key);
        if (start === undefined) continue;
        stored.set(name, new StoredTensor(file, start + tensor.byteOffset, tensor.dtype, tensor.shape));
      }
      return stored;
    },
  };
}

function keysOf(tensors: readonly (readonly [string, TensorRef])[]): Set<string> {
  return new Set(tensors.map(([, { storage }]) => storage.key));
}

function checkCopiedSize(tensors: ReadonlyMap<string, TensorRef>, fileSize: number): void {
  let total = 0;
  for (const tensor of tensors.values()) total += tensor.copiedBytes;
  if (total > MAX_COPIED_BYTES + MAX_COPIED_RATIO * fileSize)
    throw new WeightsFormatError(
      `its ${fileSize} bytes stand for ${total} in memory, by views of repeated elements: save contiguous tensors`,
    );
}
