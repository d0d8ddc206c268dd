import { show } from '../is.js';

/** What a file held, for a message. It never looks inside: a hostile file nests without end. */
export function describe(value: unknown): string {
  if (value instanceof Map) return 'a dict';
  if (value instanceof Set) return 'a set';
  if (Array.isArray(value)) return Object.isFrozen(value) ? 'a tuple' : 'a list';
  return show(value);
}
