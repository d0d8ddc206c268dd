import { WeightsFormatError } from '../errors.js';

/** No integer of a weights file is larger; converting a huge one would take time that grows with its square. */
const MAX_INTEGER_BYTES = 64;
const MAX_LINE_BYTES = 1024;

/** The bytes end before the pickle does. */
export class PickleCutOff extends WeightsFormatError {}

/** The operands of a pickle, read in order and never beyond its end. */
export class PickleReader {
  private readonly view: DataView;
  // Byte order marks are kept: a string is what was written.
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  constructor(
    private readonly source: Uint8Array,
    public position: number,
  ) {
    this.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  }

  /** Moves on by `count` bytes and returns where they begin. */
  skip(count: number): number {
    const start = this.position;
    if (count > this.source.length - start) throw new PickleCutOff('its pickle is cut off');
    this.position = start + count;
    return start;
  }

  byte(): number {
    return this.view.getUint8(this.skip(1));
  }

  uint16(): number {
    return this.view.getUint16(this.skip(2), true);
  }

  int32(): number {
    return this.view.getInt32(this.skip(4), true);
  }

  uint32(): number {
    return this.view.getUint32(this.skip(4), true);
  }

  /** Rounded beyond 2^53: such a length is refused anyway. */
  uint64(): number {
    return Number(this.view.getBigUint64(this.skip(8), true));
  }

  float64(): number {
    return this.view.getFloat64(this.skip(8));
  }

  bytes(count: number): Uint8Array {
    const start = this.skip(count);
    return this.source.slice(start, start + count);
  }

  text(count: number): string {
    const start = this.skip(count);
    return this.decode(start, start + count);
  }

  /** Up to the next newline, which is left out. */
  line(): string {
    const start = this.position;
    const end = this.source.subarray(0, start + MAX_LINE_BYTES).indexOf(0x0a, start);
    if (end < 0 && start + MAX_LINE_BYTES <= this.source.length)
      throw new WeightsFormatError(`its pickle has a name of over ${MAX_LINE_BYTES} bytes`);
    if (end < 0) throw new PickleCutOff('its pickle is cut off within a name');
    this.position = end + 1;
    return this.decode(start, end);
  }

  /** A little-endian two's complement integer of `count` bytes: a number if it is safe as one, else a bigint. */
  integer(count: number): number | bigint {
    if (count > MAX_INTEGER_BYTES) throw new WeightsFormatError('its pickle has an integer of absurd length');
    const start = this.skip(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.view.getUint8(start + i));
    const signed = BigInt.asIntN(8 * count, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  private decode(start: number, end: number): string {
    try {
      return this.decoder.decode(this.source.subarray(start, end));
    } catch (cause) {
      throw new WeightsFormatError('its pickle has text that is not UTF-8', { cause });
    }
  }
}
