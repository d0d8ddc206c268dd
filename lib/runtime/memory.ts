import { native } from './native.js';

/** Zeroed memory of the addon's: compile and run read weights that lie in it without a copy. */
export function allocateBytes(count: number): Uint8Array {
  return new Uint8Array(native().allocate(count), 0, count);
}

/** A copy in memory of the addon's. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  const copy = allocateBytes(bytes.length);
  copy.set(bytes);
  return copy;
}

/** The bytes themselves if they lie at a multiple of `alignment`, a typed array's condition; else a copy. */
export function alignedBytes(bytes: Uint8Array, alignment: number): Uint8Array {
  return bytes.byteOffset % alignment === 0 ? bytes : copyBytes(bytes);
}
