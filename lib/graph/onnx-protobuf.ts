// Protocol Buffers' wire format, as much of it as an ONNX file takes. A message is a list of pieces with a known length;
// tensors stay where they are until the whole file, allocated once, is filled.

const VARINT = 0;
const BYTES = 2;
const FLOAT32 = 5;

const encoder = new TextEncoder();

/** One message under construction. Fields appear in the order of the calls; a repeated field is several calls. */
export class Message {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** In bytes, once encoded. */
  get length(): number {
    return this.#length;
  }

  /** An integer that is not negative. */
  integer(field: number, value: number | bigint): this {
    return this.#append(varint(tag(field, VARINT)), varint(BigInt(value)));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#append(varint(tag(field, FLOAT32)), bytes);
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  /** The bytes are kept, not copied: they must not change before `encode`. */
  bytes(field: number, value: Uint8Array): this {
    return this.#append(varint(tag(field, BYTES)), varint(BigInt(value.length)), value);
  }

  message(field: number, value: Message): this {
    return this.#append(varint(tag(field, BYTES)), varint(BigInt(value.#length)), ...value.#pieces);
  }

  encode(): Uint8Array {
    const file = new Uint8Array(this.#length);
    let offset = 0;
    for (const piece of this.#pieces) {
      file.set(piece, offset);
      offset += piece.length;
    }
    return file;
  }

  #append(...pieces: Uint8Array[]): this {
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#length += piece.length;
    }
    return this;
  }
}

function tag(field: number, wireType: number): bigint {
  return BigInt(field * 8 + wireType);
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (; value > 0x7fn; value >>= 7n) bytes.push(Number(value & 0x7fn) | 0x80);
  bytes.push(Number(value));
  return Uint8Array.from(bytes);
}
