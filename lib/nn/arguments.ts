import type { Pair } from '../graph/graph.js';
import { checkInteger, invalid } from '../is.js';

/** One number for both, or [height, width]. */
export type PairArgument = number | Pair;

/** Throws `INVALID_ARGUMENT` unless `value` is an integer of at least `min`, or two of them. */
export function checkPair(name: string, value: unknown, min: number): Pair {
  if (!Array.isArray(value)) {
    if (typeof value !== 'number') throw invalid(name, 'an integer or [height, width]', value);
    const size = checkInteger(name, value, min);
    return [size, size];
  }
  if (value.length !== 2) throw invalid(name, 'an integer or [height, width]', value);
  return [checkInteger(`${name}[0]`, value[0], min), checkInteger(`${name}[1]`, value[1], min)];
}
