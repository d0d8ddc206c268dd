// As much of the FlatBuffers format as Arrow's schema message needs, written front to back: a table, then what it points
// to. Numbers are little-endian; every field of a table takes 8 bytes, which aligns all of them.

/** A table's fields by their ids; undefined ones are absent. */
export type Table = readonly (Field | undefined)[];

export type Field =
  | { readonly kind: 'integer'; readonly bytes: 1 | 2 | 4 | 8; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'table'; readonly value: Table }
  | { readonly kind: 'tables'; readonly value: readonly Table[] };

export const integer = (bytes: 1 | 2 | 4 | 8, value: number): Field => ({ kind: 'integer', bytes, value });
export const string = (value: string): Field => ({ kind: 'string', value });
export const table = (value: Table): Field => ({ kind: 'table', value });
export const tables = (value: readonly Table[]): Field => ({ kind: 'tables', value });

const SLOT = 8;

/** The buffer of which `root` is the root table; its length is a multiple of 8. */
export function flatbuffer(root: Table): Uint8Array {
  const out = new Output();
  out.reserve(4);
  out.patch(0, writeTable(out, root));
  out.align(SLOT);
  return out.bytes;
}

/** Writes a table and what is in it, and returns its position. */
function writeTable(out: Output, fields: Table): number {
  out.align(SLOT);
  const vtableBytes = 4 + 2 * fields.length;
  // The table begins 4 before a multiple of 8, so that the slots behind its first word are aligned.
  const start = out.length + Math.ceil((vtableBytes + 4) / SLOT) * SLOT - 4;
  const vtable = start - vtableBytes;
  const present = fields.flatMap((field, id) => (field ? [{ field, id }] : []));
  out.reserve(start + 4 + SLOT * present.length - out.length);
  out.integer(vtable, 2, vtableBytes);
  out.integer(vtable + 2, 2, 4 + SLOT * present.length);
  out.integer(start, 4, vtableBytes);
  for (const [i, { field, id }] of present.entries()) {
    out.integer(vtable + 4 + 2 * id, 2, 4 + SLOT * i);
    writeField(out, start + 4 + SLOT * i, field);
  }
  return start;
}

function writeField(out: Output, at: number, field: Field): void {
  if (field.kind === 'integer') out.integer(at, field.bytes, field.value);
  else if (field.kind === 'string') out.patch(at, writeString(out, field.value));
  else if (field.kind === 'table') out.patch(at, writeTable(out, field.value));
  else out.patch(at, writeTables(out, field.value));
}

function writeString(out: Output, text: string): number {
  out.align(4);
  const bytes = Buffer.from(text);
  const at = out.reserve(4 + bytes.length + 1);
  out.integer(at, 4, bytes.length);
  out.bytes.set(bytes, at + 4);
  return at;
}

function writeTables(out: Output, list: readonly Table[]): number {
  out.align(4);
  const at = out.reserve(4 + 4 * list.length);
  out.integer(at, 4, list.length);
  for (const [i, fields] of list.entries()) out.patch(at + 4 + 4 * i, writeTable(out, fields));
  return at;
}

class Output {
  bytes = Buffer.alloc(0);

  get length(): number {
    return this.bytes.length;
  }

  /** Appends zeros and returns where they begin. */
  reserve(count: number): number {
    const at = this.length;
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(count)]);
    return at;
  }

  align(to: number): void {
    this.reserve((to - (this.length % to)) % to);
  }

  integer(at: number, size: 1 | 2 | 4 | 8, value: number): void {
    if (size === 8) this.bytes.writeBigInt64LE(BigInt(value), at);
    else this.bytes.writeUIntLE(value, at, size);
  }

  /** Sets an offset, which counts from where it stands. */
  patch(at: number, target: number): void {
    this.integer(at, 4, target - at);
  }
}
