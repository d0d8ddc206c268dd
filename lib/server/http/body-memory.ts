import { native } from '../../runtime/native.js';

// Smaller buffers are garbage like any other.
const LARGE = 2 ** 16;
// Of memory that is kept for bodies to come.
const MAX_FREE_BYTES = 2 ** 26;

/**
 * Memory for the bodies of requests, used again for later ones, in which a session reads tensors in place. What large
 * buffers are allocated anew V8 counts as garbage to come: it would collect all of it several times a second, with
 * threads that the network needs.
 */
export class BodyMemory {
  readonly #free: ArrayBufferLike[] = [];
  #freeBytes = 0;

  /** Of at least so many bytes, with whatever is in them. */
  take(bytes: number): ArrayBufferLike {
    return this.takeFree(bytes) ?? (bytes < LARGE ? new ArrayBuffer(bytes) : native().allocate(bytes));
  }

  /** The same, but only if it was used before. */
  takeFree(bytes: number): ArrayBufferLike | undefined {
    if (bytes < LARGE) return undefined;
    const i = this.#free.findLastIndex(({ byteLength }) => byteLength >= bytes && byteLength <= 2 * bytes);
    const [buffer] = i < 0 ? [] : this.#free.splice(i, 1);
    this.#freeBytes -= buffer?.byteLength ?? 0;
    return buffer;
  }

  /** @param buffer of `take`, which nothing reads any more. */
  giveBack(buffer: ArrayBufferLike): void {
    if (buffer.byteLength < LARGE) return;
    this.#free.push(buffer);
    this.#freeBytes += buffer.byteLength;
    while (this.#freeBytes > MAX_FREE_BYTES) {
      const oldest = this.#free.shift() as ArrayBufferLike;
      this.#freeBytes -= oldest.byteLength;
      native().discard(oldest);
    }
  }
}

/** Frees what was received at once, if it is large and has its memory for itself. */
export function discardChunk({ buffer, length }: Buffer): void {
  if (length === buffer.byteLength && length >= LARGE / 4) native().discard(buffer);
}
