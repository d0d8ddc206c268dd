import { ResNetError, throwIfAborted } from '../errors.js';

/** One image to extract: what names it in every output, and how to get its bytes. */
export interface Entry {
  /** Unique and stable: the path or URL as given, or that of the tar with the member's name behind it. */
  readonly key: string;
  /** The bytes of the image file. Called at most once. @throws ResNetError `FILE`, which becomes a row with an error. */
  read(signal?: AbortSignal): Promise<Uint8Array>;
}

/**
 * The bytes of an entry, where whatever is thrown is about that image: adapters throw errors of their own.
 * @throws ResNetError the entry's own, else `FILE`; AbortError.
 */
export async function readEntry(entry: Entry, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return await entry.read(signal);
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof ResNetError) throw error;
    const { message } = error as Error;
    throw new ResNetError('FILE', `Cannot read ${entry.key}: ${message}`, { cause: error });
  }
}

/** Pictures that sharp decodes; in folders and tars other files are passed over. */
const IMAGE_NAME = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;
const TAR_NAME = /\.tar$/i;

/** Files larger than this are no photographs; without a limit one hostile file would fill the memory. */
export const MAX_IMAGE_BYTES = 256 * 2 ** 20;

export function isImageName(name: string): boolean {
  return IMAGE_NAME.test(name);
}

export function isTarName(name: string): boolean {
  return TAR_NAME.test(name);
}

/**
 * All bytes of a stream.
 * @throws ResNetError `FILE` when there are more than `MAX_IMAGE_BYTES`.
 */
export async function collect(name: string, stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_IMAGE_BYTES) throw tooLarge(name);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

export function tooLarge(name: string): ResNetError {
  return new ResNetError('FILE', `${name} has over ${MAX_IMAGE_BYTES} bytes: too large for an image file`);
}
