import { ResNetError } from '../errors.js';
import { readEntry } from '../sources/entry.js';
import { type ExtractInputs, inputEntries } from '../sources/inputs.js';
import type { Tensor } from '../tensor.js';
import type { ClassificationTransform } from '../transforms/index.js';
import { type Pixels, stack } from './images.js';

/** More of them hardly move the ranges that are found. */
export const CALIBRATION_IMAGES = 256;
const BATCH = 8;

export interface CalibrationImagesOptions {
  /** How many of the inputs are looked at. Default 256. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told at the end of the images that were left out because they cannot be read, if there are any. */
  readonly onErrors?: ((count: number, last: ResNetError) => void) | undefined;
}

/**
 * The first images of the inputs as batches to calibrate with, decoded, resized and cropped. Those that cannot be read
 * are left out, as in an extraction; but where they are more than half, the inputs are not what they were taken for.
 * @throws ResNetError the code of the last image that cannot be read, when they are more than half; of inputs that are
 * not there; AbortError.
 */
export async function* calibrationImages(
  inputs: ExtractInputs,
  transform: ClassificationTransform,
  { limit = CALIBRATION_IMAGES, signal, onErrors }: CalibrationImagesOptions = {},
): AsyncGenerator<Tensor, void, undefined> {
  let pixels: Pixels[] = [];
  const counts = { images: 0, errors: 0 };
  let last: ResNetError | undefined;
  for await (const entry of inputEntries(inputs, signal)) {
    if (counts.images === limit) break;
    counts.images++;
    try {
      pixels.push(await transform(await readEntry(entry, signal)));
    } catch (error) {
      if (!(error instanceof ResNetError)) throw error;
      counts.errors++;
      last = new ResNetError(error.code, `${entry.key}: ${error.message}`, { cause: error });
    }
    if (pixels.length < BATCH) continue;
    yield stack(pixels as [Pixels, ...Pixels[]]);
    pixels = [];
  }
  if (last) checkErrors(counts, last);
  if (pixels.length > 0) yield stack(pixels as [Pixels, ...Pixels[]]);
  if (last) onErrors?.(counts.errors, last);
}

function checkErrors({ images, errors }: { images: number; errors: number }, last: ResNetError): void {
  if (2 * errors <= images) return;
  throw new ResNetError(
    last.code,
    `${errors} of ${images} calibration images could not be read, more than half of them: give pictures like those that ` +
      `the network will see; the last: ${last.message}`,
    { cause: last },
  );
}
