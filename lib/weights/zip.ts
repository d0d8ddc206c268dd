import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import yauzl, { type Entry } from 'yauzl';
import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import { alignedBytes, copyBytes } from '../runtime/memory.js';
import { readExtents } from './extents.js';
import { inTurns } from './in-turns.js';
import type { ByteSource } from './source.js';

const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);

// Far above what any checkpoint has, far below what would hold up the process.
const MAX_ENTRIES = 200_000;
const MAX_DIRECTORY_BYTES = 64 * 2 ** 20;
/** Deflated content may exceed the file by this much: a bomb is thousands of times its file. */
const MAX_INFLATED_BYTES = 256 * 2 ** 20;
const MAX_INFLATED_RATIO = 4;
const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER_SIGNATURE = 0x04034b50;

/** A file in the archive. Its local header and data lie in [start, end), which belongs to no other entry. */
interface ZipEntry {
  readonly name: string;
  readonly rawName: Buffer;
  readonly start: number;
  readonly end: number;
  readonly deflated: boolean;
  readonly compressedSize: number;
  readonly size: number;
}

/**
 * The directory of a zip file, and its files by name.
 *
 * Checksums are not verified: torch can be told to write none, and its own reader ignores them.
 */
export class ZipArchive {
  /** Entries of which the local header has not been held against the directory. */
  private readonly unread: Set<ZipEntry>;

  private constructor(
    private readonly source: ByteSource,
    private readonly entries: ReadonlyMap<string, ZipEntry>,
  ) {
    this.unread = new Set(entries.values());
  }

  /** @throws WeightsFormatError when the directory is damaged or its entries overlap or share a name. */
  static async open(source: ByteSource): Promise<ZipArchive> {
    const { entries, directoryStart } = await readDirectory(source);
    entries.sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
    const byName = new Map<string, ZipEntry>();
    for (const [i, entry] of entries.entries()) {
      const end = entries[i + 1]?.relativeOffsetOfLocalHeader ?? directoryStart;
      const checked = checkedEntry(entry, end);
      if (byName.has(checked.name))
        throw new WeightsFormatError(`the zip archive has two entries named ${show(checked.name)}`);
      byName.set(checked.name, checked);
    }
    return new ZipArchive(source, byName);
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  /** Size of an entry's content as the directory tells it; undefined if there is none of this name. */
  size(name: string): number | undefined {
    return this.entries.get(name)?.size;
  }

  /**
   * The content of entries that exist, aligned for every dtype. Stored ones are views of one block of memory into which
   * their part of the file is read; deflated ones are inflated to no more than their stated size.
   * @throws WeightsFormatError when an entry's local header contradicts the directory, or its data is damaged.
   */
  async read(names: Iterable<string>): Promise<Map<string, Uint8Array>> {
    const wanted = [...new Set(names)].map((name) => this.entries.get(name) as ZipEntry);
    wanted.sort((a, b) => a.start - b.start);
    this.checkInflatedSize(wanted);
    const extents = await readExtents(this.source, wanted);
    const contents = new Map<string, Uint8Array>();
    for (const [entry, extent] of extents) {
      const data = dataOf(entry, extent);
      this.unread.delete(entry);
      contents.set(entry.name, entry.deflated ? await inflated(entry, data) : alignedBytes(data, 8));
    }
    return contents;
  }

  /**
   * Checks what `read` checks of local headers for all entries that were not read.
   * @throws WeightsFormatError
   */
  async checkUnread(): Promise<void> {
    await inTurns([...this.unread], (entry) => this.checkLocalHeader(entry));
  }

  /**
   * Where in the file the content of entries begins that exist and are not deflated. Of their local headers it checks
   * what `read` checks.
   * @throws WeightsFormatError
   */
  async positions(names: Iterable<string>): Promise<Map<string, number>> {
    const entries = [...new Set(names)].map((name) => this.entries.get(name) as ZipEntry);
    const stored = entries.filter(({ deflated }) => !deflated);
    const positions = new Map<string, number>();
    await inTurns(stored, async (entry) => {
      positions.set(entry.name, entry.start + (await this.checkLocalHeader(entry)));
    });
    return positions;
  }

  /** Where behind its start the data of an entry begins. */
  private async checkLocalHeader(entry: ZipEntry): Promise<number> {
    const header = Buffer.alloc(LOCAL_HEADER_BYTES + entry.rawName.length);
    await this.source.read(header, entry.start);
    const start = dataStart(entry, header);
    checkEnd(entry, start, entry.end - entry.start);
    this.unread.delete(entry);
    return start;
  }

  private checkInflatedSize(wanted: readonly ZipEntry[]): void {
    const total = wanted.reduce((sum, entry) => sum + (entry.deflated ? entry.size : 0), 0);
    if (total > MAX_INFLATED_BYTES + MAX_INFLATED_RATIO * this.source.size)
      throw new WeightsFormatError(
        `its ${this.source.size} bytes would inflate to ${total}: this looks like a zip bomb; save it uncompressed`,
      );
  }
}

/** What the library asks for while it reads the directory, which is fetched whole: it reads a few bytes at a time. */
class DirectoryReader extends yauzl.RandomAccessReader {
  private directory = new Uint8Array();
  private directoryStart = 0;

  constructor(private readonly source: ByteSource) {
    super();
  }

  async fetch(start: number): Promise<void> {
    const length = this.source.size - start;
    if (length < 0 || length > MAX_DIRECTORY_BYTES)
      throw new WeightsFormatError('the zip archive has no readable directory');
    const bytes = new Uint8Array(length);
    await this.source.read(bytes, start);
    this.directory = bytes;
    this.directoryStart = start;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    const at = position - this.directoryStart;
    if (this.directory.length > 0 && at >= 0 && at + length <= this.directory.length) {
      buffer.set(this.directory.subarray(at, at + length), offset);
      callback(null);
    } else {
      this.source
        .read(buffer.subarray(offset, offset + length), position)
        .then(() => callback(null), callback);
    }
  }
}

async function readDirectory(source: ByteSource): Promise<{ entries: Entry[]; directoryStart: number }> {
  try {
    const reader = new DirectoryReader(source);
    // Raw names: decoded ones could come from an extra field, and are not what the local header is compared with.
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, source.size, { decodeStrings: false });
    const directoryStart = zip.readEntryCursor as unknown as number;
    await reader.fetch(directoryStart);
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry()) {
      if (entries.push(entry) > MAX_ENTRIES)
        throw new WeightsFormatError(`the zip archive has more than ${MAX_ENTRIES} entries`);
    }
    return { entries, directoryStart };
  } catch (error) {
    if (error instanceof WeightsFormatError || (error as { code?: unknown }).code === 'FILE') throw error;
    throw new WeightsFormatError(
      `its zip directory is cut off or damaged (${(error as Error).message}); fetch or save the file again`,
      { cause: error },
    );
  }
}

function checkedEntry(entry: Entry, end: number): ZipEntry {
  const name = decodeName(entry.fileNameRaw);
  const { relativeOffsetOfLocalHeader: start, compressionMethod, compressedSize, uncompressedSize } = entry;
  if (start + LOCAL_HEADER_BYTES + entry.fileNameLength + compressedSize > end)
    throw new WeightsFormatError(`the zip entry ${show(name)} overlaps what follows it`);
  if (entry.isEncrypted()) throw new WeightsFormatError(`the zip entry ${show(name)} is encrypted`);
  if (compressionMethod !== 0 && compressionMethod !== 8)
    throw new WeightsFormatError(
      `the zip entry ${show(name)} uses compression method ${compressionMethod}; stored and deflated are read`,
    );
  const deflated = compressionMethod === 8;
  return { name, rawName: entry.fileNameRaw, start, end, deflated, compressedSize, size: uncompressedSize };
}

function decodeName(raw: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch (cause) {
    throw new WeightsFormatError('a zip entry has a name that is not UTF-8', { cause });
  }
}

/** The stored or deflated bytes of an entry, found through its local header. */
function dataOf(entry: ZipEntry, extent: Uint8Array): Uint8Array {
  const start = dataStart(entry, Buffer.from(extent.buffer, extent.byteOffset, extent.byteLength));
  checkEnd(entry, start, extent.length);
  return extent.subarray(start, start + entry.compressedSize);
}

/** @throws WeightsFormatError if an entry's data, from `start` on, ends behind the place that it has. */
function checkEnd(entry: ZipEntry, start: number, length: number): void {
  if (start + entry.compressedSize > length)
    throw new WeightsFormatError(`the zip entry ${show(entry.name)} overlaps what follows it`);
}

/**
 * Where an entry's data begins, from the start of its local header. Another name there would mean that readers which
 * trust the local headers see another archive than those which trust the directory.
 */
function dataStart(entry: ZipEntry, header: Buffer): number {
  if (header.readUInt32LE(0) !== LOCAL_HEADER_SIGNATURE)
    throw new WeightsFormatError(`the zip entry ${show(entry.name)} has no local header`);
  const nameEnd = LOCAL_HEADER_BYTES + header.readUInt16LE(26);
  const localName = header.subarray(LOCAL_HEADER_BYTES, nameEnd);
  if (nameEnd > header.length || !localName.equals(entry.rawName))
    throw new WeightsFormatError(
      `the zip directory names an entry ${show(entry.name)} but its local header says ${show(localName.toString())}`,
    );
  if (header.readUInt16LE(8) !== (entry.deflated ? 8 : 0))
    throw new WeightsFormatError(`the zip entry ${show(entry.name)} has two compression methods`);
  return nameEnd + header.readUInt16LE(28);
}

async function inflated(entry: ZipEntry, data: Uint8Array): Promise<Uint8Array> {
  const bytes = await inflate(data, { maxOutputLength: Math.max(1, entry.size) }).catch((cause: unknown) => {
    throw new WeightsFormatError(`the zip entry ${show(entry.name)} is damaged or larger than stated`, {
      cause,
    });
  });
  if (bytes.length !== entry.size)
    throw new WeightsFormatError(
      `the zip entry ${show(entry.name)} holds ${bytes.length} bytes, not the stated ${entry.size}`,
    );
  return copyBytes(bytes);
}
