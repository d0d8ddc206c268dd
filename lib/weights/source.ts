import { stat } from 'node:fs/promises';
import { ResNetError, WeightsFormatError } from '../errors.js';
import { fileError } from '../file-error.js';
import { invalid } from '../is.js';
import { OpenFile } from './open-file.js';

// Files are read, not mapped: if a mapped file is truncated by someone else, the next access to the lost part is a
// SIGBUS that no handler here could turn into an error, and the whole process dies.

/** Bytes at positions. Whoever opened it closes it. */
export interface ByteSource {
  /** For messages: the path, or what stands for one. */
  readonly name: string;
  readonly size: number;
  /** Where tensors may stay until they are needed; undefined for bytes in memory. */
  readonly file: OpenFile | undefined;
  /**
   * Fills `target` with the bytes from `position` on.
   * @throws WeightsFormatError when the source ends before, ResNetError `FILE` when the system cannot read.
   */
  read(target: Uint8Array, position: number): Promise<void>;
  close(): void;
}

/**
 * A source over a file or over bytes in memory.
 * @throws ResNetError `INVALID_ARGUMENT` for other types, `FILE` when there is no such file or it cannot be opened.
 */
export async function openSource(file: string | Uint8Array): Promise<ByteSource> {
  if (file instanceof Uint8Array) return new MemorySource(file);
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw invalid('the weights file', 'a path or a Uint8Array', file);
  try {
    // Opening a pipe would wait for its other end, so what it is has to be known first.
    const status = await stat(file);
    if (!status.isFile())
      throw new ResNetError(
        'FILE',
        `${file} is ${status.isDirectory() ? 'a folder' : 'no regular file'}: give a weights file`,
      );
    return new FileSource(await OpenFile.open(file));
  } catch (error) {
    throw fileError(file, 'read', error);
  }
}

const CHUNK_BYTES = 2 * 2 ** 20;
const READS_AT_ONCE = 4;

class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;

  constructor(readonly file: OpenFile) {
    this.name = file.path;
    this.size = file.bytes;
  }

  /** Several reads at once: the time goes to the kernel's copy and its new pages, of which every core can do a part. */
  async read(target: Uint8Array, position: number): Promise<void> {
    checkRange(this, target, position);
    let next = 0;
    const reader = async () => {
      while (next < target.length) {
        const start = next;
        next += CHUNK_BYTES;
        await this.readChunk(target.subarray(start, next), position + start);
      }
    };
    const readers = Math.min(READS_AT_ONCE, Math.ceil(target.length / CHUNK_BYTES));
    await Promise.all(Array.from({ length: readers }, reader));
  }

  private async readChunk(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const count = await this.file.read(target.subarray(done), position + done);
      if (count === 0) throw new WeightsFormatError('the file became shorter while it was read');
      done += count;
    }
  }

  close(): void {
    this.file.close();
  }
}

class MemorySource implements ByteSource {
  readonly name = 'the given bytes';
  readonly file = undefined;
  readonly size: number;

  constructor(private readonly bytes: Uint8Array) {
    this.size = bytes.length;
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    checkRange(this, target, position);
    target.set(this.bytes.subarray(position, position + target.length));
  }

  close(): void {}
}

function checkRange(source: ByteSource, target: Uint8Array, position: number): void {
  if (position < 0 || position + target.length > source.size)
    throw new WeightsFormatError(
      `the file has ${source.size} bytes but says that more follow: it is cut off or damaged`,
    );
}
