import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import { type Extent, readAligned } from './extents.js';
import { isTuple } from './pickle.js';
import type { ByteSource } from './source.js';
import { itemSize, type StateDType } from './state-dict.js';
import { asStorageType } from './torch-globals.js';
import { StorageRef } from './torch-tensor.js';

/** What a file keeps for its tensors, by the keys of storages that it has. */
export interface TorchStorages {
  /** Their bytes. */
  read(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, Uint8Array>>;
  /** Where in the file the bytes begin of those that lie there as they would in memory. */
  positions(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, number>>;
}

/** Storages that lie in the file as they would in memory. */
export class StoragesInFile implements TorchStorages {
  constructor(
    private readonly source: ByteSource,
    private readonly extents: ReadonlyMap<string, Extent>,
  ) {}

  async read(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, Uint8Array>> {
    const wanted = [...this.extents].filter(([key]) => keys.has(key));
    const contents = await readAligned(
      this.source,
      wanted.map(([, extent]) => extent),
    );
    return new Map(wanted.map(([key, extent]) => [key, contents.get(extent) as Uint8Array]));
  }

  async positions(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const wanted = [...this.extents].filter(([key]) => keys.has(key));
    return new Map(wanted.map(([key, { start }]) => [key, start]));
  }
}

/** The storages that a file's pickles name. */
export class StorageTable {
  readonly byKey = new Map<string, StorageRef>();

  /**
   * A storage with a key.
   * @throws WeightsFormatError for a count that is none, and for another dtype or count than the key has had.
   */
  add(key: string, dtype: StateDType, count: unknown): StorageRef {
    const byteLength = checkedCount(`storage ${show(key)}`, count) * itemSize(dtype);
    const known = this.byKey.get(key);
    if (known && (known.dtype !== dtype || known.byteLength !== byteLength))
      throw new WeightsFormatError(`its pickle says two different things of storage ${show(key)}`);
    const storage = known ?? new StorageRef(key, dtype, byteLength);
    this.byKey.set(key, storage);
    return storage;
  }

  /**
   * The storage of a persistent id: ('storage', type, key, device, elements), before torch 1.6 with None behind it or
   * with (key, offset, elements) of a view of that storage, which then is what is meant.
   */
  of(id: unknown): StorageRef {
    const [kind, type, key, , count, view = null] = Array.isArray(id) ? id : [];
    const storageType = asStorageType(type);
    if (kind !== 'storage' || !storageType || typeof key !== 'string')
      throw new WeightsFormatError('its pickle refers to something that is no storage');
    const root = this.add(key, storageType.dtype, count);
    return view === null ? root : viewOf(root, view);
  }
}

function viewOf(root: StorageRef, view: unknown): StorageRef {
  if (!isTuple(view))
    throw new WeightsFormatError(`storage ${show(root.key)} has ${describe(view)} for a view`);
  return partOf(root, view[1], view[2]);
}

/** Some elements of a storage. @throws WeightsFormatError unless it has them. */
export function partOf(root: StorageRef, offset: unknown, count: unknown): StorageRef {
  const name = `a view of storage ${show(root.key)}`;
  const size = itemSize(root.dtype);
  const start = checkedCount(`the offset of ${name}`, offset) * size;
  const byteLength = checkedCount(name, count) * size;
  if (start + byteLength > root.byteLength)
    throw new WeightsFormatError(
      `${name} reaches to element ${(start + byteLength) / size}, but it has ${root.byteLength / size}`,
    );
  return new StorageRef(root.key, root.dtype, byteLength, root.byteOffset + start);
}

function checkedCount(name: string, count: unknown): number {
  if (typeof count !== 'number' || !Number.isSafeInteger(count * 8) || count < 0)
    throw new WeightsFormatError(`${name} has ${describe(count)} elements`);
  return count;
}
