import { WeightsFormatError } from '../errors.js';
import { type Metadata, openSafetensors, readSafetensorsMetadata } from './safetensors.js';
import { type Container, SNIFF_BYTES, sniff } from './sniff.js';
import { type ByteSource, openSource } from './source.js';
import type { StateDict, StateTensor } from './state-dict.js';
import type { WeightsFile } from './weights-file.js';

/**
 * Reads the tensors of a weights file: `.safetensors`, or what `torch.save` writes (`.pth`, `.pt`, `.bin`), in the zip
 * container of 1.6 and later, in the one before it, or in torch 0.1's tar archive. Which it is follows from the
 * content, not from the name.
 *
 * Of a torch checkpoint the state dict is taken: the one under `state_dict`, `model_state_dict`, `model` or `net`; else
 * averaged weights, under `state_dict_ema`, `model_ema`, `ema_state_dict` or `ema`; else the dict itself. Two of the
 * same rank are refused, entries that are no tensors are left out, and the prefixes `module.` and `_orig_mod.` that
 * wrappers put before every key are taken off. Nothing in the file is run: a pickle that names anything but tensors and
 * plain containers is refused.
 *
 * The data is read once, straight into the memory that the tensors are views of.
 * @param file a path, or the content of a file.
 * @throws ResNetError `FILE` when it cannot be read, `WEIGHTS_FORMAT` when its content is damaged, hostile, without
 * tensors or of another kind, `INVALID_ARGUMENT` for other types.
 */
export function readStateDict(file: string | Uint8Array): Promise<StateDict> {
  return withWeightsFile(file, ({ tensors, read }) => read(new Set(tensors.keys())));
}

/**
 * The tensors of these names for a model to take: the large ones stay in the file until they are needed, where it has
 * them as they would be in memory (`StoredTensor`).
 */
export async function readForModel(file: WeightsFile, names: ReadonlySet<string>): Promise<StateDict> {
  const stored = await file.refer(names);
  const read = await file.read(new Set([...names].filter((name) => !stored.has(name))));
  const inOrder = [...file.tensors.keys()].filter((key) => stored.has(key) || read.has(key));
  return new Map(inOrder.map((key) => [key, (stored.get(key) ?? read.get(key)) as StateTensor]));
}

/**
 * Opens a weights file, uses it and closes it. WeightsFormatErrors, those of `use` too, say which file they are about.
 * @throws as `readStateDict`.
 */
export function withWeightsFile<T>(
  file: string | Uint8Array,
  use: (weights: WeightsFile) => Promise<T>,
): Promise<T> {
  return withSource(file, async (source) => {
    const open = await OPENERS[await containerOf(source)]();
    return use(await open(source));
  });
}

/** What opens each container; loaded when it is needed. */
const OPENERS: Readonly<Record<Container, () => Promise<(source: ByteSource) => Promise<WeightsFile>>>> = {
  safetensors: async () => openSafetensors,
  'torch-zip': async () => (await import('./torch-zip.js')).openTorchZip,
  'torch-legacy': async () => (await import('./torch-legacy.js')).openTorchLegacy,
  'torch-tar': async () => (await import('./torch-tar.js')).openTorchTar,
};

/**
 * The strings that a `.safetensors` file carries beside its tensors, without reading those. Empty for torch's files.
 * @throws as `readStateDict`.
 */
export function readMetadata(file: string | Uint8Array): Promise<Metadata> {
  return withSource(file, async (source) => {
    if ((await containerOf(source)) === 'safetensors') return readSafetensorsMetadata(source);
    return Object.create(null);
  });
}

async function containerOf(source: ByteSource): Promise<Container> {
  const head = new Uint8Array(Math.min(SNIFF_BYTES, source.size));
  await source.read(head, 0);
  const found = sniff(head);
  if (typeof found === 'string') return found;
  throw new WeightsFormatError(
    `expected a .safetensors file or one of torch.save, but it ${found.looksLike}`,
  );
}

/** Opens, uses and closes; errors of the format say which file they are about. */
async function withSource<T>(file: string | Uint8Array, use: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await openSource(file);
  try {
    return await use(source);
  } catch (error) {
    if (error instanceof WeightsFormatError)
      throw new WeightsFormatError(`${source.name}: ${error.message}`, { cause: error.cause });
    throw error;
  } finally {
    source.close();
  }
}
