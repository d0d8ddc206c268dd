import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import type { Extent } from './extents.js';
import { isTuple, type PickleHost, unpickle } from './pickle.js';
import { MAX_PICKLE_BYTES, PickleStream, PLAIN_HOST } from './pickle-stream.js';
import type { ByteSource } from './source.js';
import { tarMembers } from './tar-members.js';
import { torchWeightsFile } from './torch-file.js';
import { asStorageType, TENSOR_TYPES, TORCH_GLOBALS, torchHost } from './torch-globals.js';
import { COUNT_BYTES, readCount } from './torch-legacy.js';
import { partOf, StoragesInFile, StorageTable } from './torch-storages.js';
import { type StorageRef, TensorRef } from './torch-tensor.js';
import type { WeightsFile } from './weights-file.js';

const MAX_OBJECTS = 200_000;

/** For pickles that name the classes of storages and tensors, and refer to nothing. */
const TYPES_HOST: PickleHost = {
  globals: new Map([...TORCH_GLOBALS, ...TENSOR_TYPES]),
  persistentLoad: PLAIN_HOST.persistentLoad,
};

/**
 * Opens what torch 0.1 wrote: a tar archive. `storages` has the storages and which are views of others, `tensors` what
 * the tensors are views of, `pickle` the object. They refer to each other by numbers.
 * @throws WeightsFormatError for damaged, hostile or other archives.
 */
export async function openTorchTar(source: ByteSource): Promise<WeightsFile> {
  const members = await tarMembers(source);
  const { storages, extents } = await readStorages(source, memberOf(members, 'storages'));
  const tensors = await readTensors(source, memberOf(members, 'tensors'), storages);
  const pickle = memberOf(members, 'pickle');
  const host = torchHost((id) => tensors.get(idOf(id)) ?? storages.get(idOf(id)) ?? unknownObject(id));
  const root = await new PickleStream(source, pickle.start, pickle.end).next(host);
  return torchWeightsFile(source, root, new StoragesInFile(source, extents));
}

function memberOf(members: ReadonlyMap<string, Extent>, name: string): Extent {
  const member = members.get(name);
  if (member) return member;
  throw new WeightsFormatError(
    `it is a tar archive but not one of torch 0.1: expected storages, tensors and pickle, found ${show([...members.keys()])}`,
  );
}

/** Numbers are written as such and as text. */
function idOf(id: unknown): string {
  return typeof id === 'number' || typeof id === 'bigint' || typeof id === 'string' ? String(id) : '';
}

function unknownObject(id: unknown): never {
  throw new WeightsFormatError(
    `its pickle refers to ${describe(id)}, which is none of its tensors and storages`,
  );
}

/** A number of storages; each as (id, device, type), its number of elements, and these; views of them. */
async function readStorages(source: ByteSource, { start, end }: Extent) {
  const table = new StorageTable();
  const extents = new Map<string, Extent>();
  const stream = new PickleStream(source, start, end);
  const count = checkedObjects('storages', await stream.next(PLAIN_HOST));
  for (let i = 0; i < count; i++) {
    const [id, , type] = checkedRecord('a storage', await stream.next(TYPES_HOST), 3);
    const key = idOf(id);
    const dtype = asStorageType(type)?.dtype;
    if (!dtype || extents.has(key))
      throw new WeightsFormatError(`its storage ${i} has no type or number of its own`);
    const elements = await readCount(source, stream.position);
    const { byteLength } = table.add(key, dtype, Number(elements));
    const data = stream.position + COUNT_BYTES;
    if (data + byteLength > end)
      throw new WeightsFormatError(
        `its storage ${i} has ${elements} elements, more than follow: it is damaged`,
      );
    extents.set(key, { start: data, end: data + byteLength });
    stream.position = data + byteLength;
  }
  const storages = new Map(table.byKey);
  addViews(storages, await stream.next(PLAIN_HOST));
  return { storages, extents };
}

/** Each as (id, id of the storage, offset, elements). */
function addViews(storages: Map<string, StorageRef>, views: unknown): void {
  if (!Array.isArray(views))
    throw new WeightsFormatError(`it has ${describe(views)} for its views of storages`);
  for (const view of views) {
    const [id, root, offset, count] = checkedRecord('a view', view, 4);
    const storage = storages.get(idOf(root));
    if (!storage) throw new WeightsFormatError('a view of a storage is of one that is not there');
    storages.set(idOf(id), partOf(storage, offset, count));
  }
}

/** A number of tensors; each as (id, id of its storage, type), its rank in 8 bytes, sizes, strides and offset. */
async function readTensors(
  source: ByteSource,
  { start, end }: Extent,
  storages: ReadonlyMap<string, StorageRef>,
): Promise<Map<string, TensorRef>> {
  if (end - start > MAX_PICKLE_BYTES)
    throw new WeightsFormatError(`its list of tensors has over ${MAX_PICKLE_BYTES} bytes`);
  const bytes = new Uint8Array(end - start);
  await source.read(bytes, start);
  const counted = unpickle(bytes, PLAIN_HOST);
  const count = checkedObjects('tensors', counted.value);
  const tensors = new Map<string, TensorRef>();
  let position = counted.end;
  for (let i = 0; i < count; i++) {
    const record = unpickle(bytes, TYPES_HOST, position);
    const [id, storageId] = checkedRecord('a tensor', record.value, 3);
    const storage = storages.get(idOf(storageId));
    if (!storage) throw new WeightsFormatError(`its tensor ${i} is of a storage that is not there`);
    const numbers = new Numbers(bytes, record.end);
    // Written as four bytes of eight; the others may be anything.
    const rank = numbers.int64() & 0xffff_ffffn;
    const [shape, stride] = [numbers.int64s(rank), numbers.int64s(rank)];
    tensors.set(idOf(id), TensorRef.checked(storage, storage.dtype, Number(numbers.int64()), shape, stride));
    position = numbers.position;
  }
  return tensors;
}

/** 64-bit integers, read in order and never beyond the end. */
class Numbers {
  private readonly view: DataView;

  constructor(
    bytes: Uint8Array,
    public position: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  int64(): bigint {
    this.position += 8;
    if (this.position > this.view.byteLength) throw new WeightsFormatError('its list of tensors is cut off');
    return this.view.getBigInt64(this.position - 8, true);
  }

  /** Rounded beyond 2^53: such sizes are refused anyway. */
  int64s(count: bigint): number[] {
    const numbers: number[] = [];
    for (let i = 0n; i < count; i++) numbers.push(Number(this.int64()));
    return numbers;
  }
}

function checkedObjects(what: string, count: unknown): number {
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 && count <= MAX_OBJECTS)
    return count;
  throw new WeightsFormatError(
    `it says that it has ${describe(count)} ${what}; up to ${MAX_OBJECTS} are read`,
  );
}

function checkedRecord(what: string, record: unknown, length: number): readonly unknown[] {
  if (isTuple(record) && record.length === length) return record;
  throw new WeightsFormatError(`it describes ${what} by ${describe(record)}, not by ${length} values`);
}
