import { MAX_HEADER_BYTES } from './safetensors.js';

/** The containers that are read. */
export type Container = 'safetensors' | 'torch-zip' | 'torch-legacy' | 'torch-tar';

/** Enough for every mark below; tar's comes last. */
export const SNIFF_BYTES = 512;
const TAR_MARK_OFFSET = 257;

/** How a pickle writes the number that torch's files began with before 1.6, behind its protocol and perhaps a frame. */
const LEGACY_NUMBER = '\x8a\x0al\xfc\x9cF\xf9';
const LEGACY_HEAD_BYTES = 18;

/** What a file's first bytes look like: a container that is read, or words for what else it is. */
export function sniff(head: Uint8Array): Container | { readonly looksLike: string } {
  const text = Buffer.from(head).toString('latin1');
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return 'torch-zip';
  // Before the marks: some of them are only two bytes, which the length of a header can be too.
  if (looksLikeSafetensors(head)) return 'safetensors';
  if (text.startsWith('\x80') && text.slice(0, LEGACY_HEAD_BYTES).includes(LEGACY_NUMBER))
    return 'torch-legacy';
  if (text.startsWith('ustar', TAR_MARK_OFFSET)) return 'torch-tar';
  const other = MARKS.find(([, mark]) =>
    typeof mark === 'string' ? text.startsWith(mark) : mark.test(text),
  );
  if (other) return { looksLike: other[0] };
  if (head.length === 0) return { looksLike: 'is empty' };
  if (/^[\t\n\r\x20-\x7e]+$/.test(text)) return { looksLike: 'is a text file' };
  return { looksLike: 'is of no known kind' };
}

/** A length that a header can have, and the brace it begins with. */
function looksLikeSafetensors(head: Uint8Array): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  return length <= BigInt(MAX_HEADER_BYTES);
}

/** What a file of each kind begins with. */
const MARKS: readonly [looksLike: string, mark: string | RegExp][] = [
  ['is a JPEG image', '\xff\xd8\xff'],
  ['is a PNG image', '\x89PNG'],
  ['is a GIF image', 'GIF8'],
  ['is a WebP image', /^RIFF....WEBP/s],
  ['is a PDF document', '%PDF'],
  ['is an HTML page, as a server sends in place of a missing file', /^\s*<(!doctype html|html|head)/i],
  ['is an XML document', /^\s*<\?xml/],
  ['is a Git LFS pointer: run `git lfs pull` to get the file it stands for', 'version https://git-lfs'],
  ['is gzip-compressed: unpack it first', '\x1f\x8b'],
  ['is bzip2-compressed: unpack it first', 'BZh'],
  ['is xz-compressed: unpack it first', '\xfd7zXZ'],
  ['is Zstandard-compressed: unpack it first', '\x28\xb5\x2f\xfd'],
  ['is a NumPy array', '\x93NUMPY'],
  ['is an HDF5 file, as Keras writes', '\x89HDF'],
  ['is a GGUF file', 'GGUF'],
  ['is a bare Python pickle', /^\x80/],
  ['is a JSON document', /^\s*[{[]\s*["{[\]}]/],
];
