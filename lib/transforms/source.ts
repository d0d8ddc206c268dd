import { constants, type FileHandle, open } from 'node:fs/promises';
import { ResNetError } from '../errors.js';
import { invalid, show } from '../is.js';

/** The path of an image file, or the bytes of one. */
export type ImageSource = string | Uint8Array;

export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif';

/** An encoded image in memory of our own. `name` is what error messages call it. */
export interface EncodedImage {
  readonly name: string;
  readonly format: ImageFormat;
  readonly bytes: Buffer;
}

const FORMATS = 'JPEG, PNG, WebP, GIF, TIFF or AVIF';
const SIGNATURE_BYTES = 16;

/**
 * The bytes of an image file, read or copied, and the format that its first bytes tell. What is no image by these is
 * refused before any decoder (or the rest of the file) is touched: libvips would also run SVG, PDF and others.
 * @throws ResNetError `FILE` when the file cannot be read, `IMAGE_DECODE` when it is none of the formats,
 * `INVALID_ARGUMENT` for a URL or another type.
 */
export async function readImage(source: ImageSource): Promise<EncodedImage> {
  if (typeof source === 'string') return readImageFile(checkedPath(source));
  if (!(source instanceof Uint8Array)) throw invalid('the image', 'a path or a Buffer', source);
  const name = `an image of ${source.length} bytes`;
  const format = checkedFormat(name, source);
  return { name, format, bytes: Buffer.from(source) };
}

function checkedPath(path: string): string {
  if (/^([a-z][a-z0-9+.-]*:\/\/|data:)/i.test(path)) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      `Expected the path of an image file but received ${show(path)}: URLs are not fetched; ` +
        'download it and pass the path or the bytes',
    );
  }
  if (path === '' || path.includes('\0')) throw invalid('the image', 'the path of an image file', path);
  return path;
}

async function readImageFile(path: string): Promise<EncodedImage> {
  let file: FileHandle | undefined;
  try {
    // Not blocking: opening a named pipe must not hold a thread until somebody writes to it.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await file.stat();
    if (!found.isFile()) {
      throw new ResNetError(
        'FILE',
        `${show(path)} is ${found.isDirectory() ? 'a folder' : 'not a regular file'}`,
      );
    }
    const head = Buffer.alloc(SIGNATURE_BYTES);
    const { bytesRead } = await file.read(head, 0, SIGNATURE_BYTES, 0);
    const format = checkedFormat(path, head.subarray(0, bytesRead));
    return { name: path, format, bytes: await file.readFile() };
  } catch (error) {
    if (error instanceof ResNetError) throw error;
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : error;
    throw new ResNetError('FILE', `Cannot read ${show(path)}: ${reason}`, { cause: error });
  } finally {
    await file?.close();
  }
}

function checkedFormat(name: string, bytes: Uint8Array): ImageFormat {
  // Empty is also what a detached buffer is.
  const format = bytes.length > 0 ? imageFormat(bytes) : undefined;
  if (format) return format;
  const found = bytes.length > 0 ? 'it is none by its first bytes' : 'it is empty';
  throw new ResNetError('IMAGE_DECODE', `Cannot decode ${name}: expected ${FORMATS} but ${found}`);
}

/** The format told by the first bytes of a file, or undefined. */
export function imageFormat(bytes: Uint8Array): ImageFormat | undefined {
  const head = Buffer.from(bytes.subarray(0, SIGNATURE_BYTES)).toString('latin1');
  if (head.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return 'webp';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'gif';
  if (/^(II[*+]\0|MM\0[*+])/.test(head)) return 'tiff';
  if (/^ftypavi[fs]/.test(head.slice(4))) return 'avif';
  return undefined;
}
