import { WeightsFormatError } from '../errors.js';
import { describe } from '../is.js';
import { type CheckedCall, isTuple, type PickleGlobal, type PickleHost } from './pickle.js';
import type { StateDType } from './state-dict.js';
import { StorageRef, TensorRef } from './torch-tensor.js';

// The list of what a state dict's pickle may name, after torch.load's own list for weights_only=True. None of it
// runs code of the file: the rebuilders note what a tensor is a view of, and the data is read later.

/** A class of storages, as `torch.FloatStorage`. Untyped storages count bytes. */
export interface StorageType extends PickleGlobal {
  readonly dtype: StateDType;
}

interface DTypeGlobal extends PickleGlobal {
  readonly dtype: StateDType;
}

/** The classes that tensors had in torch 0.1, whose files name them beside the storages. */
export const TENSOR_TYPES: ReadonlyMap<string, PickleGlobal> = new Map(
  ['Double', 'Float', 'Half', 'Long', 'Int', 'Short', 'Char', 'Byte']
    .flatMap((type) => [`torch.${type}Tensor`, `torch.cuda.${type}Tensor`])
    .map((name) => [name, { name }]),
);

const STORAGE_TYPES: readonly [name: string, dtype: StateDType][] = [
  ['torch.DoubleStorage', 'float64'],
  ['torch.FloatStorage', 'float32'],
  ['torch.HalfStorage', 'float16'],
  ['torch.BFloat16Storage', 'bfloat16'],
  ['torch.LongStorage', 'int64'],
  ['torch.IntStorage', 'int32'],
  ['torch.ShortStorage', 'int16'],
  ['torch.CharStorage', 'int8'],
  ['torch.ByteStorage', 'uint8'],
  ['torch.BoolStorage', 'bool'],
  ['torch.storage.UntypedStorage', 'uint8'],
];

const DTYPE_NAMES: readonly [name: string, dtype: StateDType][] = (
  [
    ...['float64', 'float32', 'float16', 'bfloat16', 'bool'],
    ...['int64', 'int32', 'int16', 'int8', 'uint64', 'uint32', 'uint16', 'uint8'],
  ] as StateDType[]
).map((dtype) => [`torch.${dtype}`, dtype]);

/** The storage type that a persistent id names, or undefined for any other value. */
export function asStorageType(value: unknown): StorageType | undefined {
  return storageTypes.find((type) => type === value);
}

const storageTypes: readonly StorageType[] = STORAGE_TYPES.map(([name, dtype]) => ({ name, dtype }));
const dtypeGlobals: readonly DTypeGlobal[] = DTYPE_NAMES.map(([name, dtype]) => ({ name, dtype }));

/** An OrderedDict of nothing, or of a list of pairs as Python 2 wrote it; a Counter of a dict. */
function makeDict([items = []]: readonly unknown[]): Map<unknown, unknown> {
  if (items instanceof Map) return new Map(items);
  if (!Array.isArray(items) || !items.every((pair) => Array.isArray(pair) && pair.length === 2))
    throw new WeightsFormatError('its pickle makes a dict of something else than pairs');
  return new Map(items as [unknown, unknown][]);
}

function makeTuple([items]: readonly unknown[]): readonly unknown[] {
  if (!Array.isArray(items)) throw new WeightsFormatError('its pickle makes a torch.Size of no sequence');
  return Object.freeze([...items]);
}

function makeSet([items]: readonly unknown[]): Set<unknown> {
  if (!Array.isArray(items)) throw new WeightsFormatError('its pickle makes a set of no sequence');
  return new Set(items);
}

/** How Python 3 writes bytes in protocol 2: as text of which each character is a byte. */
function encodeLatin1([text, encoding]: readonly unknown[]): Uint8Array {
  if (typeof text !== 'string' || encoding !== 'latin1')
    throw new WeightsFormatError('its pickle encodes something else than latin1 text');
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

function rebuildTensor([storage, offset, shape, stride]: readonly unknown[]): TensorRef {
  if (!(storage instanceof StorageRef)) throw new WeightsFormatError('a tensor has no storage');
  return TensorRef.checked(storage, storage.dtype, offset, shape, stride);
}

function rebuildTensorV2(args: readonly unknown[]): TensorRef {
  checkMetadata(args[6]);
  return rebuildTensor(args);
}

/** For dtypes without a storage class of their own: the storage is bytes, offset and strides count elements. */
function rebuildTensorV3([
  storage,
  offset,
  shape,
  stride,
  ,
  ,
  dtype,
  metadata,
]: readonly unknown[]): TensorRef {
  checkMetadata(metadata);
  const known = dtypeGlobals.find((global) => global === dtype);
  if (!known || !(storage instanceof StorageRef))
    throw new WeightsFormatError(`a tensor has the dtype ${describe(dtype)}, which is not read`);
  return TensorRef.checked(storage, known.dtype, offset, shape, stride);
}

/** Lazily conjugated or negated tensors keep values in their storage that are not theirs. */
function checkMetadata(metadata: unknown): void {
  if (metadata instanceof Map && [...metadata.values()].some((value) => value !== false))
    throw new WeightsFormatError('a tensor is a lazily negated view; save tensor.resolve_neg() instead');
}

function rebuildParameter([data]: readonly unknown[]): TensorRef {
  if (!(data instanceof TensorRef)) throw new WeightsFormatError('a parameter holds no tensor');
  return data;
}

/** A tensor with attributes of its own, which are dropped. */
function rebuildFromType([rebuild, , args]: readonly unknown[], call: CheckedCall): TensorRef {
  if (!REBUILDERS.some((candidate) => candidate === rebuild))
    throw new WeightsFormatError(`a tensor is rebuilt by ${describe(rebuild)}, which is not read`);
  return rebuildParameter([call(rebuild, args)]);
}

const REBUILDERS: readonly PickleGlobal[] = [
  { name: 'torch._utils._rebuild_tensor', call: rebuildTensor },
  { name: 'torch._utils._rebuild_tensor_v2', call: rebuildTensorV2 },
  { name: 'torch._utils._rebuild_tensor_v3', call: rebuildTensorV3 },
  { name: 'torch._utils._rebuild_parameter', call: rebuildParameter },
  { name: 'torch._utils._rebuild_parameter_with_state', call: rebuildParameter },
];

const CONTAINERS: readonly PickleGlobal[] = [
  { name: 'collections.OrderedDict', call: makeDict },
  { name: 'collections.Counter', call: makeDict },
  { name: 'torch.Size', call: makeTuple },
  { name: '__builtin__.set', call: makeSet },
  { name: 'builtins.set', call: makeSet },
  { name: '_codecs.encode', call: encodeLatin1 },
];

const OTHERS: readonly PickleGlobal[] = [
  { name: 'torch._tensor._rebuild_from_type_v2', call: rebuildFromType },
  { name: 'torch.Tensor' },
  // Called by torch before 0.4; later it only names what _rebuild_from_type_v2 makes.
  { name: 'torch.nn.parameter.Parameter', call: rebuildParameter },
];

/** By `module.name`. */
export const TORCH_GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map(
  [...storageTypes, ...dtypeGlobals, ...REBUILDERS, ...CONTAINERS, ...OTHERS].map((item) => [
    item.name,
    item,
  ]),
);

/** What surrounds the pickle of a torch file. */
export function torchHost(persistentLoad: PickleHost['persistentLoad']): PickleHost {
  return { globals: TORCH_GLOBALS, persistentLoad, dropsState: isParameterState };
}

/** What parameters of torch before 0.4 have beside their tensor: two flags, and hooks. */
function isParameterState(object: unknown, state: unknown): boolean {
  const noData = (value: unknown) => value === null || typeof value === 'boolean' || value instanceof Map;
  return object instanceof TensorRef && isTuple(state) && state.every(noData);
}
