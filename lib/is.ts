import { ResNetError } from './errors.js';

// Argument checks at the public boundary: every message has the form
// "expected <what> for <name> but received <what came>", so that a caller can act on it.

/** `value` as a person would write it, short: strings quoted, objects by class, arrays by content. */
export function show(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (Array.isArray(value))
    return `[${value.slice(0, 8).map(show).join(', ')}${value.length > 8 ? ', ...' : ''}]`;
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'Object';
  return typeof value === 'bigint' ? `${value}n` : String(value);
}

/** The error for an argument that is not what it should be. Code `INVALID_ARGUMENT`. */
export function invalid(name: string, expected: string, received: unknown): ResNetError {
  return new ResNetError(
    'INVALID_ARGUMENT',
    `Expected ${expected} for ${name} but received ${show(received)}`,
  );
}

/** Throws `INVALID_ARGUMENT` unless `value` is an integer in [min, max]. */
export function checkInteger(
  name: string,
  value: unknown,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  const range =
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  throw invalid(name, range, value);
}

/** Throws `INVALID_ARGUMENT` unless `value` is one of `choices`, and suggests the nearest of them. */
export function checkOneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  const error = invalid(name, `one of ${choices.map(show).join(', ')}`, value);
  if (typeof value === 'string') error.message += didYouMean(value, choices);
  throw error;
}

/** ` (did you mean "x"?)` for the nearest of `choices`, or nothing when none is near. */
export function didYouMean(word: string, choices: Iterable<string>): string {
  let best = '';
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const choice of choices) {
    const distance = editDistance(word.toLowerCase(), choice.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [choice, distance];
  }
  return best ? ` (did you mean ${show(best)}?)` : '';
}

/** Levenshtein's distance, one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
