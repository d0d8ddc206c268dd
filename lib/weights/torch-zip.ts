import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import { shapeSize } from '../shape.js';
import { findStateDict } from './checkpoint.js';
import { unpickle } from './pickle.js';
import type { ByteSource } from './source.js';
import { itemSize } from './state-dict.js';
import { canStayInFile, StoredTensor } from './stored-tensor.js';
import { asStorageType, TORCH_GLOBALS } from './torch-globals.js';
import { StorageRef, type TensorRef } from './torch-tensor.js';
import type { WeightsFile } from './weights-file.js';
import { ZipArchive } from './zip.js';

/** The pickle of ResNet-152 with its optimiser takes a quarter of a megabyte. */
const MAX_PICKLE_BYTES = 32 * 2 ** 20;

/** Views that have to be gathered (transposed, expanded) may take this much more memory than the file. */
const MAX_GATHERED_BYTES = 256 * 2 ** 20;
const MAX_GATHERED_RATIO = 4;

/**
 * Opens what `torch.save` has written since 1.6: a zip archive of `data.pkl`, which says what there is, and a file
 * `data/<key>` for each storage. All lie in one folder of any name.
 * @throws WeightsFormatError for damaged, hostile or other archives.
 */
export async function openTorchZip(source: ByteSource): Promise<WeightsFile> {
  const archive = await ZipArchive.open(source);
  const folder = findFolder(archive);
  await checkByteOrder(archive, folder);
  const tensors = findStateDict(await readPickle(archive, folder));
  checkGatheredSize(tensors, source.size);

  const nameOf = (tensor: TensorRef) => `${folder}data/${tensor.storage.key}`;
  for (const tensor of tensors.values()) checkStorage(archive, nameOf(tensor), tensor.storage);
  return {
    tensors,
    metadata: Object.create(null),
    async read(names) {
      const wanted = [...tensors].filter(([key]) => names.has(key));
      const contents = await archive.read(wanted.map(([, tensor]) => nameOf(tensor)));
      await archive.checkUnread();
      return new Map(
        wanted.map(([key, tensor]) => [key, tensor.over(contents.get(nameOf(tensor)) as Uint8Array)]),
      );
    },
    async refer(names) {
      const { file } = source;
      if (!file) return new Map();
      const stored = new Map<string, StoredTensor>();
      const wanted = [...tensors].filter(
        ([key, tensor]) => names.has(key) && tensor.contiguous && canStayInFile(tensor),
      );
      const positions = await archive.positions(wanted.map(([, tensor]) => nameOf(tensor)));
      for (const [key, tensor] of wanted) {
        const start = positions.get(nameOf(tensor));
        if (start === undefined || !canStayInFile(tensor)) continue;
        const position = start + tensor.offset * itemSize(tensor.dtype);
        stored.set(key, new StoredTensor(file, position, tensor.dtype, tensor.shape));
      }
      return stored;
    },
  };
}

/** What comes before `data.pkl` in the names. */
function findFolder(archive: ZipArchive): string {
  const names = archive.names();
  const pickles = names.filter((name) => /^([^/]*\/)?data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1)
    throw new WeightsFormatError(
      `it is a zip archive but not one of torch's: expected one data.pkl, found ${pickles.length} among ${show(names)}`,
    );
  const folder = pickle.slice(0, -'data.pkl'.length);
  if (archive.size(`${folder}constants.pkl`) !== undefined)
    throw new WeightsFormatError(
      'it is a TorchScript archive, which is code; save model.state_dict() instead',
    );
  return folder;
}

async function checkByteOrder(archive: ZipArchive, folder: string): Promise<void> {
  const name = `${folder}byteorder`;
  const size = archive.size(name);
  if (size === undefined) return;
  const order =
    size > 16
      ? 'of many bytes'
      : Buffer.from((await archive.read([name])).get(name) ?? []).toString('latin1');
  if (order !== 'little')
    throw new WeightsFormatError(
      `its byte order is ${show(order)}; only "little" is read: save it as .safetensors where it was written`,
    );
}

async function readPickle(archive: ZipArchive, folder: string): Promise<unknown> {
  const name = `${folder}data.pkl`;
  if ((archive.size(name) ?? 0) > MAX_PICKLE_BYTES)
    throw new WeightsFormatError(`its data.pkl has over ${MAX_PICKLE_BYTES} bytes`);
  const contents = await archive.read([name]);
  const host = { globals: TORCH_GLOBALS, persistentLoad: storageOf };
  return unpickle(contents.get(name) as Uint8Array, host).value;
}

/** The persistent id of a storage: ('storage', type, key, device, elements). */
function storageOf(id: unknown): StorageRef {
  const [kind, type, key, , count] = Array.isArray(id) ? id : [];
  const storageType = asStorageType(type);
  if (kind !== 'storage' || !storageType || typeof key !== 'string')
    throw new WeightsFormatError('its pickle refers to something that is no storage');
  if (!Number.isSafeInteger(count) || count < 0)
    throw new WeightsFormatError(`storage ${show(key)} has ${describe(count)} elements`);
  return new StorageRef(key, storageType.dtype, count * itemSize(storageType.dtype));
}

function checkStorage(archive: ZipArchive, name: string, storage: StorageRef): void {
  const size = archive.size(name);
  if (size === undefined)
    throw new WeightsFormatError(`the archive has no ${show(name)}, which a tensor needs`);
  if (size !== storage.byteLength)
    throw new WeightsFormatError(`${show(name)} has ${size} bytes; its pickle says ${storage.byteLength}`);
}

function checkGatheredSize(tensors: ReadonlyMap<string, TensorRef>, fileSize: number): void {
  let total = 0;
  for (const tensor of tensors.values()) {
    if (!tensor.contiguous) total += shapeSize(tensor.shape) * itemSize(tensor.dtype);
  }
  if (total > MAX_GATHERED_BYTES + MAX_GATHERED_RATIO * fileSize)
    throw new WeightsFormatError(
      `its ${fileSize} bytes stand for ${total} in memory, by views of repeated elements: save contiguous tensors`,
    );
}
