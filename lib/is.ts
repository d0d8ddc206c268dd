import { ResNetError } from './errors.js';

// Argument checks at the public boundary: every message has the form
// "expected <what> for <name> but received <what came>", so that a caller can act on it.

/** Node's timers take no longer ones: they fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

// Lists are shown this deep. What is shown may be JSON of a hostile file, which nests without end.
const SHOWN_DEPTH = 3;

/** `value` as a person would write it, short: strings quoted, objects by class, arrays by content. */
export function show(value: unknown): string {
  return showTo(SHOWN_DEPTH, value);
}

function showTo(depth: number, value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shortened(value));
  if (Array.isArray(value)) {
    if (depth === 0) return '[...]';
    const items = value.slice(0, 8).map((item) => showTo(depth - 1, item));
    return `[${items.join(', ')}${value.length > 8 ? ', ...' : ''}]`;
  }
  if (typeof value === 'function') return `function ${nameOf(value) ?? '(anonymous)'}`;
  if (typeof value === 'object' && value !== null) return nameOf(value.constructor) ?? 'Object';
  return typeof value === 'bigint' ? `${value}n` : String(value);
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** Of a function. What only poses as one may have any `name`. */
function nameOf(type: unknown): string | undefined {
  const name = (type as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' && name !== '' ? shortened(name) : undefined;
}

/** What a file held, for a message: by its kind, without looking inside. Frozen arrays are Python's tuples. */
export function describe(value: unknown): string {
  if (value === undefined) return 'none';
  if (value instanceof Map) return 'a dict';
  if (value instanceof Set) return 'a set';
  if (Array.isArray(value)) return Object.isFrozen(value) ? 'a tuple' : `a list of ${value.length}`;
  const shown = show(value);
  return shown === 'Object' ? 'an object' : shown;
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

/** Throws `INVALID_ARGUMENT` unless `options` is an object, and for an option that `of` has not: names the nearest. */
export function checkOptions(of: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw invalid(`the options of ${of}`, 'an object', options);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    `${of} has no option ${show(unknown)}${didYouMean(unknown, known)}`,
  );
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
    // It is at least that: a word without end, from a client or a file, must not be compared letter by letter.
    if (Math.abs(word.length - choice.length) >= bestDistance) continue;
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
