import { ResNetError } from '../../errors.js';

/**
 * Bounds what the bodies of all requests take together, from their first byte until the answer is out: one body has a
 * limit of its own, but nothing keeps clients from sending many.
 */
export class BodyBudget {
  readonly #held = new WeakMap<object, number>();
  #total = 0;

  /** @param limit in bytes. */
  constructor(readonly limit: number) {}

  /** Bytes that are held now. */
  get total(): number {
    return this.#total;
  }

  /** @throws ResNetError `QUEUE_FULL` if there is no room for so many more bytes. */
  checkRoom(bytes: number): void {
    if (this.#total + bytes <= this.limit) return;
    const held = `The bodies of requests under way take ${this.#total} of ${this.limit} bytes`;
    throw new ResNetError('QUEUE_FULL', `${held}: there is no room for ${bytes} more; try again later`);
  }

  /**
   * Counts bytes for a request until it is released.
   * @throws ResNetError `QUEUE_FULL`.
   */
  hold(request: object, bytes: number): void {
    this.checkRoom(bytes);
    this.#held.set(request, (this.#held.get(request) ?? 0) + bytes);
    this.#total += bytes;
  }

  /** The request is over. Any number of times. */
  release(request: object): void {
    this.#total -= this.#held.get(request) ?? 0;
    this.#held.delete(request);
  }
}
