import type { Graph } from '../graph/graph.js';
import { serializeGraph } from '../graph/serialize.js';
import { checkOptions, invalid } from '../is.js';
import { shapeSize } from '../shape.js';
import { checkedImageTransform, type ImageTransform } from '../transforms/image-transform.js';
import { writeFileAtomically } from './files.js';
import { LENGTH_BYTES, MAX_HEADER_BYTES, METADATA_KEY, SAFETENSORS_DTYPES } from './safetensors.js';
import { checkStateTensor, itemSize, type StateTensor } from './state-dict.js';

/** A network that can be saved with what it takes to run it again. */
export interface SavableModel {
  readonly graph: Graph;
  readonly transform: ImageTransform;
  readonly categories: readonly string[] | undefined;
  stateDict(): ReadonlyMap<string, StateTensor>;
}

/**
 * Writes a state dict, or a model with its graph, as a `.safetensors` file, which replaces an older one of the name only
 * when it is whole.
 *
 * A model's graph, transform and class names go into the metadata as JSON under `graph`, `transform` and `categories`,
 * so that `loadModel` needs nothing beside the file. The header lists the tensors in the order of the state dict; their
 * data is laid out by descending element size, so that every tensor is aligned in the file.
 * @param options.metadata more strings by name; they win over those of the model.
 * @throws ResNetError `INVALID_ARGUMENT` for what is no state dict, `FILE` when the file cannot be written.
 */
export async function saveSafetensors(
  path: string,
  state: ReadonlyMap<string, StateTensor> | SavableModel,
  options: { metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) throw invalid('path', 'a path', path);
  checkOptions('saveSafetensors', options, ['metadata']);
  const tensors = state instanceof Map ? state : stateDictOf(state as SavableModel);
  const ofModel = state instanceof Map ? {} : modelMetadata(state as SavableModel);
  const metadata = { ...ofModel, ...checkedMetadata(options.metadata ?? {}) };
  for (const [key, tensor] of tensors) checkStateTensor(key, tensor);
  if (tensors.has(METADATA_KEY)) throw invalid('the key of a tensor', 'another name', METADATA_KEY);
  const laidOut = [...tensors].sort(([, a], [, b]) => itemSize(b.dtype) - itemSize(a.dtype));
  await writeFileAtomically(path, pieces(header(tensors, laidOut, metadata), laidOut));
}

/** Each tensor's bytes when its turn comes; those of a model that are still in a file stay there. */
function* pieces(head: Uint8Array, laidOut: readonly [string, StateTensor][]): Generator<Uint8Array> {
  yield head;
  for (const [, tensor] of laidOut) {
    const { buffer, byteOffset, byteLength } = tensor.stored?.read() ?? tensor.data;
    yield new Uint8Array(buffer, byteOffset, byteLength);
  }
}

function stateDictOf(model: SavableModel): ReadonlyMap<string, StateTensor> {
  if (typeof model?.stateDict !== 'function')
    throw invalid('state', 'a state dict (a Map) or a model', model);
  return model.stateDict();
}

function modelMetadata({ graph, transform, categories }: SavableModel): Record<string, string> {
  return {
    graph: serializeGraph(graph),
    transform: JSON.stringify(checkedImageTransform(transform)),
    ...(categories && { categories: JSON.stringify(categories) }),
  };
}

function checkedMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof metadata !== 'object' || metadata === null)
    throw invalid('metadata', 'an object of strings', metadata);
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== 'string') throw invalid(`metadata.${key}`, 'a string', value);
  return metadata;
}

/** Offsets are those of `laidOut`; the order is that of `tensors`. */
function header(
  tensors: ReadonlyMap<string, StateTensor>,
  laidOut: readonly [string, StateTensor][],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const extents = new Map<string, [start: number, end: number]>();
  let at = 0;
  for (const [key, { dtype, shape }] of laidOut) {
    const end = at + shapeSize(shape) * itemSize(dtype);
    extents.set(key, [at, end]);
    at = end;
  }

  // Written by hand: an object of JavaScript's would put a key like "0" first.
  const fields = Object.keys(metadata).length > 0 ? [`"${METADATA_KEY}":${JSON.stringify(metadata)}`] : [];
  for (const [key, { dtype, shape }] of tensors) {
    const info = { dtype: SAFETENSORS_DTYPES[dtype], shape, data_offsets: extents.get(key) };
    fields.push(`${JSON.stringify(key)}:${JSON.stringify(info)}`);
  }
  const json = Buffer.from(`{${fields.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES)
    throw invalid('the metadata', `at most ${MAX_HEADER_BYTES} bytes with the list of tensors`, length);
  const bytes = Buffer.alloc(LENGTH_BYTES + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length));
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}
