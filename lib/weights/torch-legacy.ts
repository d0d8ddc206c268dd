import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import type { Extent } from './extents.js';
import { inTurns } from './in-turns.js';
import { PickleStream, PLAIN_HOST } from './pickle-stream.js';
import type { ByteSource } from './source.js';
import { itemSize } from './state-dict.js';
import { torchWeightsFile } from './torch-file.js';
import { torchHost } from './torch-globals.js';
import { StoragesInFile, StorageTable } from './torch-storages.js';
import type { StorageRef } from './torch-tensor.js';
import type { WeightsFile } from './weights-file.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** Before each storage: how many elements follow. */
export const COUNT_BYTES = 8;

/**
 * Opens what `torch.save` wrote before 1.6, and still does if told to, in torchvision's first files for one. Five
 * pickles: a magic number, the version of the protocol, facts of the machine, the object, and the keys of its storages.
 * Then these in that order, each behind its number of elements. All of that is little-endian, whatever the machine
 * that wrote it.
 * @throws WeightsFormatError for damaged, hostile or other files.
 */
export async function openTorchLegacy(source: ByteSource): Promise<WeightsFile> {
  const stream = new PickleStream(source, 0);
  if ((await stream.next(PLAIN_HOST)) !== MAGIC)
    throw new WeightsFormatError("it begins like a file of torch before 1.6, but not with that one's number");
  const protocol = await stream.next(PLAIN_HOST);
  if (protocol !== PROTOCOL)
    throw new WeightsFormatError(
      `it has version ${describe(protocol)} of torch's format; ${PROTOCOL} is read`,
    );
  await stream.next(PLAIN_HOST);
  const table = new StorageTable();
  const host = torchHost((id) => table.of(id));
  const root = await stream.next(host);
  const storages = inOrder(table, await stream.next(PLAIN_HOST));
  const extents = await placesOf(source, storages, stream.position);
  return torchWeightsFile(source, root, new StoragesInFile(source, extents));
}

/** The storages of a list of keys, which are all that there are. */
function inOrder({ byKey }: StorageTable, keys: unknown): StorageRef[] {
  if (!Array.isArray(keys))
    throw new WeightsFormatError(`it has ${describe(keys)} for the keys of its storages`);
  const unique = new Set<unknown>(keys);
  const missing = [...byKey.keys()].find((key) => !unique.has(key));
  if (missing !== undefined)
    throw new WeightsFormatError(`it has no storage ${show(missing)}, which a tensor needs`);
  if (unique.size !== keys.length || keys.length !== byKey.size)
    throw new WeightsFormatError('its list of storages names one twice, or one that its pickle does not');
  return keys.map((key) => byKey.get(key) as StorageRef);
}

/** Where storages are that follow each other, as many bytes as their elements take and their counts say. */
async function placesOf(
  source: ByteSource,
  storages: readonly StorageRef[],
  start: number,
): Promise<Map<string, Extent>> {
  const extents = new Map<string, Extent>();
  let end = start;
  for (const { key, byteLength } of storages) {
    extents.set(key, { start: end + COUNT_BYTES, end: end + COUNT_BYTES + byteLength });
    end += COUNT_BYTES + byteLength;
  }
  if (end > source.size)
    throw new WeightsFormatError(
      `the file has ${source.size} bytes, but its storages reach to ${end}: it is cut off or damaged`,
    );
  await inTurns(storages, (storage) => {
    const { start: data } = extents.get(storage.key) as Extent;
    return checkCount(source, data - COUNT_BYTES, storage);
  });
  return extents;
}

async function checkCount(source: ByteSource, position: number, storage: StorageRef): Promise<void> {
  const count = await readCount(source, position);
  const expected = storage.byteLength / itemSize(storage.dtype);
  if (count !== BigInt(expected))
    throw new WeightsFormatError(
      `storage ${show(storage.key)} has ${count} elements; its pickle says ${expected}: it is damaged, or of a ` +
        'machine of another byte order',
    );
}

/** How many elements a storage says that it has. */
export async function readCount(source: ByteSource, position: number): Promise<bigint> {
  const bytes = new Uint8Array(COUNT_BYTES);
  await source.read(bytes, position);
  return new DataView(bytes.buffer).getBigInt64(0, true);
}
