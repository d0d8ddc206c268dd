import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import { type Extent, readExtents } from './extents.js';
import { parseJsonObject } from './json.js';
import type { ByteSource } from './source.js';
import { elementCount, itemSize, type StateDType, tensorOver } from './state-dict.js';
import { canStayInFile, StoredTensor } from './stored-tensor.js';
import type { WeightsFile } from './weights-file.js';

// The format: 8 bytes with the length of the header, the header, the data. The header is a JSON object of
// { dtype, shape, data_offsets } by name, and of strings under `__metadata__`; offsets count from the end of it.

/** safetensors' names of our dtypes. */
export const SAFETENSORS_DTYPES: Readonly<Record<StateDType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};

const STATE_DTYPES = new Map(
  Object.entries(SAFETENSORS_DTYPES).map(([ours, theirs]) => [theirs, ours as StateDType]),
);

export const LENGTH_BYTES = 8;
export const METADATA_KEY = '__metadata__';
/** ResNet-152's takes a tenth of a megabyte, its graph in the metadata the same again. */
export const MAX_HEADER_BYTES = 32 * 2 ** 20;

/** Strings by name; without a prototype, since the names come from a file. */
export type Metadata = Readonly<Record<string, string>>;

interface HeaderEntry extends Extent {
  readonly name: string;
  readonly dtype: StateDType;
  readonly shape: readonly number[];
}

interface Header {
  readonly tensors: readonly HeaderEntry[];
  readonly metadata: Metadata;
  /** Where in the file the data begins. */
  readonly dataStart: number;
}

/**
 * Opens a file: its header is read and checked.
 * @throws WeightsFormatError unless the file keeps every rule of the format and holds a tensor.
 */
export async function openSafetensors(source: ByteSource): Promise<WeightsFile> {
  const { tensors, metadata, dataStart } = await readHeader(source);
  if (tensors.length === 0) throw new WeightsFormatError('it holds no tensors');
  return {
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata,
    async read(names) {
      const wanted = tensors.filter(({ name }) => names.has(name));
      const data = await readExtents(source, [...wanted].sort(inFileOrder), dataStart);
      return new Map(
        wanted.map((tensor) => [
          tensor.name,
          tensorOver(data.get(tensor) as Uint8Array, tensor.dtype, tensor.shape),
        ]),
      );
    },
    async refer(names) {
      const { file } = source;
      if (!file) return new Map();
      const wanted = tensors.filter(({ name }) => names.has(name)).filter(canStayInFile);
      return new Map(
        wanted.map(({ name, start, dtype, shape }) => [
          name,
          new StoredTensor(file, dataStart + start, dtype, shape),
        ]),
      );
    },
  };
}

/** The metadata alone; the file's tensors are checked but not read. */
export async function readSafetensorsMetadata(source: ByteSource): Promise<Metadata> {
  return (await readHeader(source)).metadata;
}

async function readHeader(source: ByteSource): Promise<Header> {
  const prefix = new Uint8Array(LENGTH_BYTES);
  await source.read(prefix, 0);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES)
    throw new WeightsFormatError(`its header claims ${length} bytes; ${MAX_HEADER_BYTES} are the limit`);
  const bytes = new Uint8Array(length);
  await source.read(bytes, LENGTH_BYTES);

  const dataStart = LENGTH_BYTES + length;
  const entries = parseJsonObject(bytes, 'its header');
  const metadata = checkedMetadata(entries.get(METADATA_KEY));
  entries.delete(METADATA_KEY);
  const tensors = [...entries].map(([name, entry]) => checkedTensor(name, entry));
  checkLayout(tensors, source.size - dataStart);
  return { tensors, metadata, dataStart };
}

function checkedMetadata(entries: unknown): Metadata {
  const metadata: Record<string, string> = Object.create(null);
  if (entries === undefined) return metadata;
  if (!(entries instanceof Map)) throw new WeightsFormatError(`its ${METADATA_KEY} is no object`);
  for (const [name, value] of entries) {
    if (typeof value !== 'string')
      throw new WeightsFormatError(`its metadata ${show(name)} is ${describe(value)}, not a string`);
    metadata[name] = value;
  }
  return metadata;
}

function checkedTensor(name: string, entry: unknown): HeaderEntry {
  const at = `tensor ${show(name)}`;
  if (!(entry instanceof Map)) throw new WeightsFormatError(`${at} is described by no object`);
  const dtype = STATE_DTYPES.get(entry.get('dtype'));
  if (!dtype) {
    const known = [...STATE_DTYPES.keys()].join(', ');
    throw new WeightsFormatError(`${at} has the dtype ${describe(entry.get('dtype'))}; read are ${known}`);
  }
  const shape: unknown = entry.get('shape');
  const offsets: unknown = entry.get('data_offsets');
  if (!Array.isArray(shape)) throw new WeightsFormatError(`${at} has no shape`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(Number.isSafeInteger))
    throw new WeightsFormatError(`${at} has no two data_offsets`);
  const [start, end] = offsets as [number, number];
  const expected = elementCount(at, shape) * itemSize(dtype);
  if (end - start !== expected)
    throw new WeightsFormatError(
      `${at} of shape ${show(shape)} needs ${expected} bytes but has ${end - start}`,
    );
  return { name, dtype, shape, start, end };
}

/** The format's own rule: tensors cover the data from its first to its last byte, each byte once. */
function checkLayout(tensors: readonly HeaderEntry[], dataBytes: number): void {
  let covered = 0;
  for (const { name, start, end } of [...tensors].sort(inFileOrder)) {
    if (start !== covered)
      throw new WeightsFormatError(
        `tensor ${show(name)} begins at byte ${start} of the data but the one before ends at ${covered}`,
      );
    covered = end;
  }
  if (covered !== dataBytes)
    throw new WeightsFormatError(
      `its tensors take ${covered} bytes but ${dataBytes} follow the header: it is cut off or damaged`,
    );
}

function inFileOrder(a: Extent, b: Extent): number {
  return a.start - b.start || a.end - b.end;
}
