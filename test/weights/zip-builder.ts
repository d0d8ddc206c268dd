import { deflateRawSync } from 'node:zlib';

/** An entry of a made archive. Whatever is not given follows from the content, as in an honest one. */
export interface MadeEntry {
  readonly name: string;
  readonly content: Uint8Array;
  readonly deflate?: boolean;
  readonly localName?: string;
  readonly localMethod?: number;
  readonly method?: number;
  readonly flags?: number;
  /** Sizes as the directory states them. */
  readonly compressedSize?: number;
  readonly size?: number;
  /** Where the directory says the local header is. */
  readonly offset?: number;
}

const LOCAL_SIGNATURE = 0x04034b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const END_SIGNATURE = 0x06054b50;

/** A zip archive with room for lies. */
export function makeZip(entries: readonly MadeEntry[]): Uint8Array {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const stored = entry.deflate ? deflateRawSync(entry.content) : Buffer.from(entry.content);
    const local = Buffer.concat([localHeader(entry, stored.length), stored]);
    locals.push(local);
    centrals.push(centralHeader(entry, stored.length, entry.offset ?? offset));
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END_SIGNATURE, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

function localHeader(entry: MadeEntry, storedSize: number): Buffer {
  const name = Buffer.from(entry.localName ?? entry.name);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(LOCAL_SIGNATURE, 0);
  header.writeUInt16LE(entry.localMethod ?? entry.method ?? (entry.deflate ? 8 : 0), 8);
  header.writeUInt32LE(storedSize, 18);
  header.writeUInt32LE(entry.content.length, 22);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, name]);
}

function centralHeader(entry: MadeEntry, storedSize: number, offset: number): Buffer {
  const name = Buffer.from(entry.name);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(CENTRAL_SIGNATURE, 0);
  header.writeUInt16LE(entry.flags ?? 0, 8);
  header.writeUInt16LE(entry.method ?? (entry.deflate ? 8 : 0), 10);
  header.writeUInt32LE(entry.compressedSize ?? storedSize, 20);
  header.writeUInt32LE(entry.size ?? entry.content.length, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt32LE(offset, 42);
  return Buffer.concat([header, name]);
}
