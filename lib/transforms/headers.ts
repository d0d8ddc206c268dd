// The few facts of a file that decide how its pixels become RGB, read here rather than asked of the decoder: an extra
// call into it costs a tenth of a small photograph's decoding.

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  /** 1: greyscale, 3: colour, 4: CMYK or YCCK. */
  readonly components: number;
  /** Of Huffman-coded blocks in one order, as cameras write them: not progressive, for instance. */
  readonly sequential: boolean;
}

/** A JPEG's frame header, or undefined where damage hides it (decoders may still find it). */
export function jpegFrame(bytes: Buffer): JpegFrame | undefined {
  let at = 2;
  while (at + 10 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes.readUInt8(at + 1);
    if (isFrameHeader(marker)) {
      return {
        height: bytes.readUInt16BE(at + 5),
        width: bytes.readUInt16BE(at + 7),
        components: bytes.readUInt8(at + 9),
        sequential: marker === 0xc0 || marker === 0xc1,
      };
    }
    // 0xff may be repeated before a marker.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

/** SOF0 to SOF15; DHT, JPG and DAC have numbers among theirs. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** Whether a PNG holds 16-bit grey without an alpha channel. */
export function isPngGrey16(bytes: Buffer): boolean {
  const depth = 24;
  const colourType = 25;
  return bytes[depth] === 16 && bytes[colourType] === 0;
}

/** A GIF's first frame: where it lies on the picture, and what Pillow paints where it shows nothing. */
export interface GifFrame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** The colour of the transparent palette entry; of entry 0 when the frame names none. */
  readonly clear: readonly [number, number, number];
}

export function gifFrame(bytes: Buffer): GifFrame | undefined {
  let palette = colourTable(bytes, 13, bytes[10] ?? 0);
  let clear = 0;
  let at = 13 + palette.length;
  while (bytes[at] === 0x21) {
    const isGraphicControl = bytes[at + 1] === 0xf9;
    if (isGraphicControl && (bytes[at + 3] ?? 0) & 1) clear = bytes[at + 6] ?? 0;
    at = afterBlocks(bytes, at + 2);
  }
  if (bytes[at] !== 0x2c || at + 10 > bytes.length) return undefined;
  const [left, top, width, height] = [1, 3, 5, 7].map((i) => bytes.readUInt16LE(at + i)) as Four;
  const flags = bytes.readUInt8(at + 9);
  if (flags & 0x80) palette = colourTable(bytes, at + 10, flags);
  const [red, green, blue] = palette.subarray(3 * clear, 3 * clear + 3);
  // An entry that the palette does not have is black.
  return { left, top, width, height, clear: [red ?? 0, green ?? 0, blue ?? 0] };
}

type Four = [number, number, number, number];

function colourTable(bytes: Buffer, at: number, flags: number): Buffer {
  return bytes.subarray(at, at + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0));
}

/** Where the chain of data blocks that starts at `at` ends: each begins with its length, the last has none. */
function afterBlocks(bytes: Buffer, at: number): number {
  let next = at;
  for (let length = bytes[next]; length; length = bytes[next]) next += length + 1;
  return next + 1;
}
