import { closeSync, fstat, fstatSync, open, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';

/** Closes the files of tensors that nobody has any more. */
const forgotten = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

/**
 * A file that is open for reading, by its descriptor, which native code reads from too. It stays what was opened,
 * whatever its path comes to name; when it is written to, those who read from it later are told.
 */
export class OpenFile {
  #kept = false;

  private constructor(
    readonly path: string,
    readonly descriptor: number,
    readonly bytes: number,
    /** When it was written to last, in nanoseconds. */
    readonly modifiedNs: bigint,
  ) {}

  static async open(path: string): Promise<OpenFile> {
    const descriptor = await promisify(open)(path, 'r');
    try {
      const { size, mtimeNs } = await promisify(fstat)(descriptor, { bigint: true });
      return new OpenFile(path, descriptor, Number(size), mtimeNs);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Reads up to `target.length` bytes; 0 says that the file ends there. @throws ResNetError `FILE`. */
  async read(target: Uint8Array, position: number): Promise<number> {
    const { bytesRead } = await promisify(read)(this.descriptor, target, 0, target.length, position).catch(
      (error: unknown) => Promise.reject(fileError(this.path, 'read', error)),
    );
    return bytesRead;
  }

  /** Fills `target`. @throws ResNetError `FILE`, also when the file was written to since it was opened. */
  readSync(target: Uint8Array, position: number): void {
    try {
      for (let done = 0, count = 1; done < target.length && count > 0; done += count) {
        count = readSync(this.descriptor, target, done, target.length - done, position + done);
      }
      const { size, mtimeNs } = fstatSync(this.descriptor, { bigint: true });
      if (size === BigInt(this.bytes) && mtimeNs === this.modifiedNs) return;
    } catch (error) {
      throw fileError(this.path, 'read', error);
    }
    const changed = `${this.path} was written to after the model was loaded from it: load it again`;
    throw new ResNetError('FILE', changed);
  }

  /** Has `close` do nothing: the file stays open as long as anything refers to this object. */
  keep(): void {
    if (!this.#kept) forgotten.register(this, this.descriptor);
    this.#kept = true;
  }

  close(): void {
    if (!this.#kept) closeSync(this.descriptor);
  }
}
