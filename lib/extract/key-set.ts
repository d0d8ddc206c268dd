import { createHash } from 'node:crypto';

const WORDS = 4;
const FIRST_SLOTS = 1024;

/**
 * A set of keys that takes 32 to 64 bytes a key, whatever their length, and any number of them: a JavaScript Set ends at
 * 16.7 million. Keys count as equal when 128 bits of their SHA-256 are: for a billion keys the chance that two
 * different ones do is 10⁻²¹.
 */
export class KeySet {
  #slots = new Uint32Array(FIRST_SLOTS * WORDS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(key: string): boolean {
    const hash = hashOf(key);
    return this.#slots[slotFor(this.#slots, hash)] !== 0;
  }

  /** Adds a key; false if it was there. */
  add(key: string): boolean {
    const hash = hashOf(key);
    const slot = slotFor(this.#slots, hash);
    if (this.#slots[slot] !== 0) return false;
    this.#slots.set(hash, slot);
    this.#size++;
    if (this.#size * WORDS * 2 > this.#slots.length) this.#grow();
    return true;
  }

  #grow(): void {
    const larger = new Uint32Array(this.#slots.length * 2);
    for (let slot = 0; slot < this.#slots.length; slot += WORDS) {
      const hash = this.#slots.subarray(slot, slot + WORDS);
      if (hash[0] !== 0) larger.set(hash, slotFor(larger, hash));
    }
    this.#slots = larger;
  }
}

/** Never with a first word of 0, which marks an empty slot. */
function hashOf(key: string): Uint32Array {
  const digest = createHash('sha256').update(key).digest();
  const hash = Uint32Array.from({ length: WORDS }, (_, i) => digest.readUInt32LE(4 * i));
  hash[0] ||= 1;
  return hash;
}

/** Where `hash` is, or the empty slot where it would be: linear probing. */
function slotFor(slots: Uint32Array, hash: Uint32Array): number {
  let slot = ((hash[1] as number) * WORDS) % slots.length;
  while (slots[slot] !== 0 && !hash.every((word, i) => word === slots[slot + i])) {
    slot = (slot + WORDS) % slots.length;
  }
  return slot;
}
