import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import type { Pair } from './graph.js';

// Readers of JSON that comes from a weights file. It is hostile: each lets through what it is for and nothing else.

/** Returns the value, checked; throws WeightsFormatError, saying `what` it is. */
export type Reader<T> = (value: unknown, what: string) => T;

const MAX_NAME_LENGTH = 512;
const MAX_LIST_LENGTH = 2 ** 20;

export function readJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WeightsFormatError(`${what} is not JSON`, { cause });
  }
}

/** An object with no fields but those named, where they are. */
export function readObject(
  value: unknown,
  what: string,
  fields?: readonly string[],
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unexpected(what, 'a JSON object', value);
  }
  const extra = fields && Object.keys(value).find((key) => !fields.includes(key));
  if (extra !== undefined) throw new WeightsFormatError(`There is no field ${show(extra)} in ${what}`);
  return value as Record<string, unknown>;
}

/** A node's, alias's or tensor's name. `__proto__` is none: names become keys of objects. */
export function readName(value: unknown, what: string): string {
  if (typeof value !== 'string') throw unexpected(what, 'a string', value);
  const printable = /^[^\p{Cc}\p{Cs}]+$/u.test(value) && value.length <= MAX_NAME_LENGTH;
  if (!printable || value === '__proto__') {
    throw unexpected(what, `a name of 1 to ${MAX_NAME_LENGTH} printable characters`, value);
  }
  return value;
}

export function unexpected(what: string, expected: string, received: unknown): WeightsFormatError {
  return new WeightsFormatError(`Expected ${expected} for ${what} but the file has ${describe(received)}`);
}

export function integer(min: number, max: number): Reader<number> {
  return (value, what) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    throw unexpected(what, `an integer from ${min} to ${max}`, value);
  };
}

export function readNumber(value: unknown, what: string, min = -Number.MAX_VALUE): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= min) return value;
  throw unexpected(what, min === 0 ? 'a number of at least 0' : 'a number', value);
}

export function readBoolean(value: unknown, what: string): boolean {
  if (typeof value === 'boolean') return value;
  throw unexpected(what, 'true or false', value);
}

export function oneOf<T extends string>(choices: readonly T[]): Reader<T> {
  return (value, what) => {
    if (choices.includes(value as T)) return value as T;
    throw unexpected(what, `one of ${choices.map(show).join(', ')}`, value);
  };
}

export function listOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value, what) => {
    if (Array.isArray(value) && value.length > 0 && value.length <= MAX_LIST_LENGTH) {
      return value.map((item) => read(item, what));
    }
    throw unexpected(what, `a list of 1 to ${MAX_LIST_LENGTH} items`, value);
  };
}

export function pair(read: Reader<number>): Reader<Pair> {
  return (value, what) => {
    if (!Array.isArray(value) || value.length !== 2) throw unexpected(what, '[height, width]', value);
    return [read(value[0], what), read(value[1], what)];
  };
}

export function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, what) => (value === undefined ? undefined : read(value, what));
}
