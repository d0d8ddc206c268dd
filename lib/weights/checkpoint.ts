import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import { TensorRef } from './torch-tensor.js';

/** Where training scripts put the state dict inside a checkpoint, the most telling name first. */
const NESTED_UNDER = ['state_dict', 'model_state_dict', 'model', 'net'];

/** What wrappers put before every key: DataParallel and DistributedDataParallel, torch.compile. */
const WRAPPER_PREFIXES = ['module.', '_orig_mod.'];

/**
 * The state dict in an unpickled file: the file's own dict, or the one it holds under `state_dict`,
 * `model_state_dict`, `model` or `net`. Prefixes that a wrapper put before every key (`module.`, `_orig_mod.`) are
 * taken off, and entries that are no tensors are left out.
 * @throws WeightsFormatError when there are no tensors in those places.
 */
export function findStateDict(root: unknown): Map<string, TensorRef> {
  for (const candidate of candidates(root)) {
    const tensors = tensorsOf(candidate);
    if (tensors.size > 0) return withoutWrapperPrefixes(tensors);
  }
  throw new WeightsFormatError(
    `it holds no tensors: expected a state dict, or one under ${NESTED_UNDER.map(show).join(', ')}; ${contents(root)}`,
  );
}

function candidates(root: unknown): unknown[] {
  if (!(root instanceof Map)) return [];
  return [...NESTED_UNDER.map((key) => root.get(key)), root];
}

function tensorsOf(dict: unknown): Map<string, TensorRef> {
  const tensors = new Map<string, TensorRef>();
  if (!(dict instanceof Map)) return tensors;
  for (const [key, value] of dict) {
    if (typeof key === 'string' && value instanceof TensorRef) tensors.set(key, value);
  }
  return tensors;
}

function withoutWrapperPrefixes(tensors: Map<string, TensorRef>): Map<string, TensorRef> {
  const keys = [...tensors.keys()];
  const prefix = WRAPPER_PREFIXES.find((candidate) => keys.every((key) => key.startsWith(candidate)));
  if (!prefix) return tensors;
  return withoutWrapperPrefixes(
    new Map([...tensors].map(([key, value]) => [key.slice(prefix.length), value])),
  );
}

function contents(root: unknown): string {
  if (!(root instanceof Map)) return 'the file holds no dict at all';
  return `the file's dict has the keys ${show([...root.keys()].filter((key) => typeof key === 'string'))}`;
}
