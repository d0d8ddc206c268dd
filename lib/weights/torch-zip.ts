import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import { unpickle } from './pickle.js';
import { MAX_PICKLE_BYTES } from './pickle-stream.js';
import type { ByteSource } from './source.js';
import { torchWeightsFile } from './torch-file.js';
import { torchHost } from './torch-globals.js';
import { StorageTable, type TorchStorages } from './torch-storages.js';
import type { StorageRef } from './torch-tensor.js';
import type { WeightsFile } from './weights-file.js';
import { ZipArchive } from './zip.js';

/**
 * Opens what `torch.save` has written since 1.6: a zip archive of `data.pkl`, which says what there is, and a file
 * `data/<key>` for each storage. All lie in one folder of any name.
 * @throws WeightsFormatError for damaged, hostile or other archives.
 */
export async function openTorchZip(source: ByteSource): Promise<WeightsFile> {
  const archive = await ZipArchive.open(source);
  const folder = findFolder(archive);
  await checkByteOrder(archive, folder);
  const table = new StorageTable();
  const root = await readPickle(archive, folder, table);
  for (const storage of table.byKey.values()) checkStorage(archive, `${folder}data/${storage.key}`, storage);
  return torchWeightsFile(source, root, new ZippedStorages(archive, `${folder}data/`));
}

class ZippedStorages implements TorchStorages {
  constructor(
    private readonly archive: ZipArchive,
    private readonly folder: string,
  ) {}

  async read(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, Uint8Array>> {
    const contents = await this.archive.read(this.namesOf(keys));
    await this.archive.checkUnread();
    return this.byKey(contents);
  }

  async positions(keys: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    return this.byKey(await this.archive.positions(this.namesOf(keys)));
  }

  private namesOf(keys: ReadonlySet<string>): string[] {
    return [...keys].map((key) => this.folder + key);
  }

  private byKey<T>(byName: ReadonlyMap<string, T>): Map<string, T> {
    return new Map([...byName].map(([name, value]) => [name.slice(this.folder.length), value]));
  }
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

async function readPickle(archive: ZipArchive, folder: string, table: StorageTable): Promise<unknown> {
  const name = `${folder}data.pkl`;
  if ((archive.size(name) ?? 0) > MAX_PICKLE_BYTES)
    throw new WeightsFormatError(`its data.pkl has over ${MAX_PICKLE_BYTES} bytes`);
  const contents = await archive.read([name]);
  const host = torchHost((id) => table.of(id));
  return unpickle(contents.get(name) as Uint8Array, host).value;
}

function checkStorage(archive: ZipArchive, name: string, storage: StorageRef): void {
  const size = archive.size(name);
  if (size === undefined)
    throw new WeightsFormatError(`the archive has no ${show(name)}, which a tensor needs`);
  if (size !== storage.byteLength)
    throw new WeightsFormatError(`${show(name)} has ${size} bytes; its pickle says ${storage.byteLength}`);
}
