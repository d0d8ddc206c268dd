import { int, long, pickleOf, text, tuple } from './pickle-builder.js';

/** A storage as torch wrote it before 1.6. Whatever is not given follows from the content, as in an honest one. */
export interface MadeStorage {
  readonly key?: string;
  readonly content: Uint8Array;
  /** Elements as the file states them, 4 bytes each if nothing else is said. */
  readonly count?: bigint;
}

interface Parts {
  readonly magic?: Uint8Array;
  readonly protocol?: Uint8Array;
  /** The list of keys, as a piece. */
  readonly keys?: string;
}

const MAGIC = '\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19';
const SYSTEM = `}${text('little_endian')}\x88s`;

/** A file of torch before 1.6 around a pickle, with room for lies. */
export function legacyFile(
  pickle: Uint8Array,
  storages: readonly MadeStorage[],
  { magic = pickleOf(MAGIC), protocol = pickleOf(int(1001)), keys }: Parts = {},
): Uint8Array {
  const listed = keys ?? `](${storages.map(({ key = '0' }) => text(key)).join('')}e`;
  const data = storages.flatMap(({ content, count = BigInt(content.length / 4) }) => [int64(count), content]);
  return Buffer.concat([magic, protocol, pickleOf(SYSTEM), pickle, pickleOf(listed), ...data]);
}

export function int64(value: bigint): Uint8Array {
  const raw = Buffer.alloc(8);
  raw.writeBigInt64LE(value);
  return raw;
}

/** A file in a made tar archive. Whatever is not given follows from the content, as in an honest one. */
export interface MadeMember {
  readonly name: string;
  readonly content: Uint8Array;
  readonly type?: string;
  /** As the header states it. */
  readonly size?: string;
}

/** A tar archive with room for lies. */
export function makeTar(members: readonly MadeMember[]): Uint8Array {
  const blocks = members.flatMap(({ name, content, type = '0', size }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 'latin1');
    header.write(size ?? content.length.toString(8).padStart(11, '0'), 124, 'latin1');
    header.write(type, 156, 'latin1');
    header.write('ustar', 257, 'latin1');
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A tuple of numbers, as ids and views are written. */
export function numbers(...values: number[]): string {
  return tuple(...values.map((value) => long(BigInt(value))));
}
