import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import { TensorRef } from './torch-tensor.js';

/** Where training scripts put the state dict inside a checkpoint. */
const NESTED_UNDER = ['state_dict', 'model_state_dict', 'model', 'net'];

/** Where they put moving averages of the weights beside it. */
const AVERAGED_UNDER = ['state_dict_ema', 'model_ema', 'ema_state_dict', 'ema'];

/** What wrappers put before every key: DataParallel, DistributedDataParallel and AveragedModel; torch.compile. */
const WRAPPER_PREFIXES = ['module.', '_orig_mod.'];

/** The tensor of AveragedModel's own beside those of the module that it wraps. */
const AVERAGED_COUNTER = 'n_averaged';

/**
 * The state dict in an unpickled file: the one that its dict holds under `state_dict`, `model_state_dict`, `model` or
 * `net`; else averaged weights under `state_dict_ema`, `model_ema`, `ema_state_dict` or `ema`; else the dict itself.
 * Prefixes that a wrapper put before every key (`module.`, `_orig_mod.`) are taken off, and entries that are no
 * tensors are left out.
 * @throws WeightsFormatError when there are no tensors in those places, or in two of the same rank.
 */
export function findStateDict(root: unknown): Map<string, TensorRef> {
  const tensors = nested(root, NESTED_UNDER) ?? nested(root, AVERAGED_UNDER) ?? tensorsOf(root);
  if (tensors.size > 0) return unwrapped(tensors);
  const places = [...NESTED_UNDER, ...AVERAGED_UNDER].map(show).join(', ');
  throw new WeightsFormatError(
    `it holds no tensors: expected a state dict, or one under ${places}; ${contents(root)}`,
  );
}

/** The tensors under the one of these keys that has any. */
function nested(root: unknown, keys: readonly string[]): Map<string, TensorRef> | undefined {
  if (!(root instanceof Map)) return undefined;
  const found = keys
    .map((key) => ({ key, tensors: tensorsOf(root.get(key)) }))
    .filter(({ tensors }) => tensors.size > 0);
  if (found.length > 1) {
    const places = found.map(({ key }) => show(key)).join(' and ');
    throw new WeightsFormatError(
      `it holds state dicts under ${places}: save the one that is meant by itself`,
    );
  }
  return found[0]?.tensors;
}

function tensorsOf(dict: unknown): Map<string, TensorRef> {
  const tensors = new Map<string, TensorRef>();
  if (!(dict instanceof Map)) return tensors;
  for (const [key, value] of dict) {
    if (typeof key === 'string' && value instanceof TensorRef) tensors.set(key, value);
  }
  return tensors;
}

/** The tensors of the module that wrappers wrap, by their names in it. */
function unwrapped(tensors: Map<string, TensorRef>): Map<string, TensorRef> {
  const keys = [...tensors.keys()].filter((key) => key !== AVERAGED_COUNTER);
  const prefix = WRAPPER_PREFIXES.find((candidate) => keys.every((key) => key.startsWith(candidate)));
  if (!prefix || keys.length === 0) return tensors;
  return unwrapped(new Map(keys.map((key) => [key.slice(prefix.length), tensors.get(key) as TensorRef])));
}

function contents(root: unknown): string {
  if (!(root instanceof Map)) return 'the file holds no dict at all';
  return `the file's dict has the keys ${show([...root.keys()].filter((key) => typeof key === 'string'))}`;
}
