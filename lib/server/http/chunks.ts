// A small chunk of a body holds on to many times its bytes: of the network's buffer, and of objects around it.
const SMALL = 2 ** 14;
const LARGEST_BLOCK = 2 ** 16;
const NONE = Buffer.alloc(0);

/** What has come of a body, in order. Small chunks are copied together, so that it takes at most twice its bytes. */
export class Chunks {
  readonly #list: Buffer[] = [];
  #total = 0;
  /** Where small chunks go, and how much of it they take. */
  #block = NONE;
  #used = 0;

  /** Takes the chunk over. */
  add(chunk: Buffer): void {
    this.#total += chunk.length;
    if (chunk.length >= SMALL) {
      this.#endBlock();
      this.#list.push(chunk);
      return;
    }
    if (this.#used + chunk.length > this.#block.length) {
      this.#endBlock();
      // No more than there is already, so that many small bodies stay small.
      this.#block = Buffer.allocUnsafeSlow(Math.max(chunk.length, Math.min(this.#total, LARGEST_BLOCK)));
    }
    chunk.copy(this.#block, this.#used);
    this.#used += chunk.length;
  }

  /** All of it; nothing can be added any more. */
  list(): readonly Buffer[] {
    this.#endBlock();
    return this.#list;
  }

  #endBlock(): void {
    if (this.#used > 0) this.#list.push(this.#block.subarray(0, this.#used));
    this.#block = NONE;
    this.#used = 0;
  }
}
