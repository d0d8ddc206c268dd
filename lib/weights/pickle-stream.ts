import { WeightsFormatError } from '../errors.js';
import { type PickleHost, unpickle } from './pickle.js';
import { PickleCutOff } from './pickle-reader.js';
import type { ByteSource } from './source.js';

/** The pickle of ResNet-152 with its optimiser takes a quarter of a megabyte. */
export const MAX_PICKLE_BYTES = 32 * 2 ** 20;

/** What most pickles of a stream fit in; those that do not are read again with more. */
const FIRST_BYTES = 4096;
const GROWTH = 8;

/** A host that knows no globals and no persistent ids: for numbers, strings, lists and dicts. */
export const PLAIN_HOST: PickleHost = { globals: new Map(), persistentLoad: () => undefined };

/** Pickles in a file one after the other, with other things between them. Nothing says how long a pickle is. */
export class PickleStream {
  constructor(
    private readonly source: ByteSource,
    /** Where the next thing begins. */
    public position: number,
    /** Where the stream ends. */
    readonly end = source.size,
  ) {}

  /** The value of the next pickle. @throws WeightsFormatError as `unpickle`, and if it has over 32 MiB. */
  async next(host: PickleHost): Promise<unknown> {
    const most = Math.max(0, Math.min(MAX_PICKLE_BYTES, this.end - this.position));
    for (let length = FIRST_BYTES; ; length *= GROWTH) {
      const bytes = new Uint8Array(Math.min(length, most));
      await this.source.read(bytes, this.position);
      try {
        const { value, end } = unpickle(bytes, host);
        this.position += end;
        return value;
      } catch (error) {
        if (!(error instanceof PickleCutOff)) throw error;
        if (most === MAX_PICKLE_BYTES && length >= most)
          throw new WeightsFormatError(`it has a pickle of over ${MAX_PICKLE_BYTES} bytes`);
        if (length >= most) throw error;
      }
    }
  }
}
