import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileError } from '../../file-error.js';

/** What temporary files of ours end in. */
export const TEMPORARY = /\.\d+-[0-9a-f]{8}\.tmp$/;

/**
 * A file under construction, under a temporary name in the folder where it will be: it gets its name when it is whole
 * and on the disk. All errors are `FILE` and name the file.
 */
export class PendingFile {
  #size = 0;

  private constructor(
    readonly path: string,
    private readonly temporary: string,
    private readonly handle: FileHandle,
  ) {}

  static async create(path: string): Promise<PendingFile> {
    const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
    try {
      return new PendingFile(path, temporary, await open(temporary, 'wx+'));
    } catch (error) {
      throw fileError(path, 'write', error);
    }
  }

  get name(): string {
    return basename(this.path);
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  append(bytes: Uint8Array): Promise<void> {
    const position = this.#size;
    this.#size += bytes.length;
    return this.writeAt(bytes, position);
  }

  async writeAt(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileError(this.path, 'write', error);
    }
  }

  /** Bytes that were written, for copying them elsewhere. */
  async *read(pieceSize = 4 * 2 ** 20): AsyncGenerator<Uint8Array, void, undefined> {
    for (let position = 0; position < this.#size; ) {
      const { bytesRead, buffer } = await this.handle.read(Buffer.alloc(pieceSize), 0, pieceSize, position);
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** Brings what was written to the disk. */
  async close(): Promise<void> {
    try {
      await this.handle.sync();
      await this.handle.close();
    } catch (error) {
      throw fileError(this.path, 'write', error);
    }
  }

  /** Gives the closed file its name, over one that had it. */
  async publish(): Promise<void> {
    await rename(this.temporary, this.path).catch((error: unknown) => {
      throw fileError(this.path, 'write', error);
    });
  }

  /** Takes it away, open or closed. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.temporary, { force: true }).catch(() => undefined);
  }
}
