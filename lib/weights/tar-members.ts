import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import type { Extent } from './extents.js';
import type { ByteSource } from './source.js';

const BLOCK_BYTES = 512;
const MAX_MEMBERS = 1000;

// Offsets and lengths of what is read of a member's header.
const NAME = [0, 100] as const;
const SIZE = [124, 12] as const;
const TYPE = 156;

/** `0`, and NUL before there were others. */
const REGULAR_FILE = /[0\0]/;

/**
 * Where the regular files of a tar archive lie in it, by name: a library would have to read all of it to tell. Names are
 * those of the plain headers; what extended ones say is passed over.
 * @throws WeightsFormatError for damaged archives, and two files of a name.
 */
export async function tarMembers(source: ByteSource): Promise<Map<string, Extent>> {
  const members = new Map<string, Extent>();
  const header = Buffer.alloc(BLOCK_BYTES);
  let position = 0;
  for (let count = 0; position + BLOCK_BYTES <= source.size; count++) {
    await source.read(header, position);
    if (header.every((byte) => byte === 0)) break;
    if (count === MAX_MEMBERS)
      throw new WeightsFormatError(`the tar archive has over ${MAX_MEMBERS} members`);
    const name = textAt(header, NAME);
    const start = position + BLOCK_BYTES;
    const end = start + sizeOf(header, name);
    if (end > source.size)
      throw new WeightsFormatError(`the tar archive ends within ${show(name)}: it is cut off or damaged`);
    if (REGULAR_FILE.test(String.fromCharCode(header[TYPE] as number))) {
      if (members.has(name))
        throw new WeightsFormatError(`the tar archive has two files named ${show(name)}`);
      members.set(name, { start, end });
    }
    position = start + Math.ceil((end - start) / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return members;
}

/** In octal digits. */
function sizeOf(header: Buffer, name: string): number {
  const digits = textAt(header, SIZE).trim();
  if (!/^[0-7]+$/.test(digits))
    throw new WeightsFormatError(`the tar archive has ${show(digits)} for the size of ${show(name)}`);
  return Number.parseInt(digits, 8);
}

/** Up to the first NUL. */
function textAt(header: Buffer, [start, length]: readonly [number, number]): string {
  return header.toString('latin1', start, start + length).split('\0', 1)[0] as string;
}
