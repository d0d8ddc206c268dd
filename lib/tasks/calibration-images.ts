import { ResNetError } from '../errors.js';
import { readEntry } from '../sources/entry.js';
import { type ExtractInputs, inputEntries } from '../sources/inputs.js';
import type { Tensor } from '../tensor.js';
import type { ClassificationTransform } from '../transforms/index.js';
import { type Pixels, stack } from './images.js';

/** More of them hardly move the ranges that are found. */
export const CALIBRATION_IMAGES = 256;
const BATCH = 8;

/**
 * The first `limit` images of the inputs as batches to calibrate with, decoded, resized and cropped.
 * @throws ResNetError of the first image that cannot be read, naming it; of inputs that are not there; AbortError.
 */
export async function* calibrationImages(
  inputs: ExtractInputs,
  transform: ClassificationTransform,
  limit: number,
  signal?: AbortSignal,
): AsyncGenerator<Tensor, void, undefined> {
  let pixels: Pixels[] = [];
  let count = 0;
  for await (const entry of inputEntries(inputs, signal)) {
    if (count++ === limit) break;
    try {
      pixels.push(await transform(await readEntry(entry, signal)));
    } catch (error) {
      if (!(error instanceof ResNetError)) throw error;
      throw new ResNetError(error.code, `${entry.key}: ${error.message}`, { cause: error });
    }
    if (pixels.length < BATCH) continue;
    yield stack(pixels as [Pixels, ...Pixels[]]);
    pixels = [];
  }
  if (pixels.length > 0) yield stack(pixels as [Pixels, ...Pixels[]]);
}
