import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';

// JSON.parse keeps the last of two equal keys and sorts keys like "0" to the front. A header may have neither happen
// to it: readers would disagree on what a file holds, and the order of the tensors would change.

/**
 * A JSON object as a Map in the order of the text, objects in it as Maps too.
 * @param what the text is, for messages.
 * @throws WeightsFormatError for other JSON, bad UTF-8 and keys that come twice.
 */
export function parseJsonObject(bytes: Uint8Array, what: string): Map<string, unknown> {
  const text = decode(bytes, what);
  if (!text.startsWith('{')) throw new WeightsFormatError(`${what} is no JSON object`);
  let parsed: Record<string, unknown>;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new WeightsFormatError(`${what} is no valid JSON`, { cause });
  }
  return ordered(parsed, keysOf(text, what));
}

function decode(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new WeightsFormatError(`${what} is not UTF-8`, { cause });
  }
}

/** The keys of the outer object, in order, each with those of its value if that is an object. */
type Keys = ReadonlyMap<string, ReadonlySet<string>>;

function ordered(parsed: Record<string, unknown>, keys: Keys): Map<string, unknown> {
  return new Map(
    [...keys].map(([key, inner]) => {
      const value = parsed[key];
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return [key, value];
      const fields = value as Record<string, unknown>;
      return [key, new Map([...inner].map((field) => [field, fields[field]]))];
    }),
  );
}

/** Goes through text that JSON.parse has accepted, so only strings and brackets need to be told apart. */
function keysOf(text: string, what: string): Keys {
  const outer = new Map<string, Set<string>>();
  let inner = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    else if (character === '"') {
      const end = stringEnd(text, at);
      if (depth <= 2 && isKey(text, end)) {
        const key: string = JSON.parse(text.slice(at, end));
        if (depth === 1 ? outer.has(key) : inner.has(key))
          throw new WeightsFormatError(`${what} has the key ${show(key)} twice`);
        if (depth === 2) inner.add(key);
        else {
          inner = new Set();
          outer.set(key, inner);
        }
      }
      at = end - 1;
    }
  }
  return outer;
}

/** Behind the closing quote of the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
}

/** A string is a key when a colon follows. */
function isKey(text: string, end: number): boolean {
  while (/\s/.test(text[end] ?? '')) end++;
  return text[end] === ':';
}
