/** Pieces of a pickle: opcodes and raw bytes as text of one byte a character, as in `'\x80\x02'`. */
export function bytes(...pieces: string[]): Uint8Array {
  return new Uint8Array(Buffer.from(pieces.join(''), 'latin1'));
}

/** A pickle of protocol 2 around these pieces. */
export function pickleOf(...pieces: string[]): Uint8Array {
  return bytes('\x80\x02', ...pieces, '.');
}

export function text(value: string): string {
  const utf8 = Buffer.from(value, 'utf8');
  return `X${uint32(utf8.length)}${utf8.toString('latin1')}`;
}

export function global(module: string, name: string): string {
  return `c${module}\n${name}\n`;
}

export function int(value: number): string {
  return `J${uint32(value)}`;
}

export function tuple(...items: string[]): string {
  return `(${items.join('')}t`;
}

export function long(value: bigint): string {
  const raw = Buffer.alloc(9);
  raw.writeBigInt64LE(value);
  raw[8] = value < 0n ? 255 : 0;
  return `\x8a\x09${raw.toString('latin1')}`;
}

export function uint32(value: number): string {
  const raw = Buffer.alloc(4);
  raw.writeUInt32LE(value >>> 0);
  return raw.toString('latin1');
}

/** A tensor as torch writes it. All parts may be any piece. */
export function tensor(
  options: {
    storage?: string;
    offset?: string;
    shape?: string;
    stride?: string;
    key?: string;
    count?: string;
    type?: string;
  } = {},
): string {
  const { key = text('0'), count = int(4), type = global('torch', 'FloatStorage') } = options;
  const storage = options.storage ?? `${tuple(text('storage'), type, key, text('cpu'), count)}Q`;
  const { offset = int(0), shape = tuple(int(4)), stride = tuple(int(1)) } = options;
  const hooks = `${global('collections', 'OrderedDict')})R`;
  return `${global('torch._utils', '_rebuild_tensor_v2')}${tuple(storage, offset, shape, stride, '\x89', hooks)}R`;
}

/** A dict of one key. */
export function dictOf(key: string, value: string): string {
  return `}${text(key)}${value}s`;
}
