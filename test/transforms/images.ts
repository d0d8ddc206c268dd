import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// Image files with what Pillow and torchvision make of them; test/golden/README.md describes the form.

/** Pixels as told by the goldens: a hash, and every `stride`-th byte. */
export interface GoldenPixels {
  readonly width: number;
  readonly height: number;
  readonly sha256: string;
  readonly stride: number;
  readonly base64: string;
}

export interface GoldenImage {
  readonly file: string;
  readonly description: string;
  /** Of a byte; of files that Pillow refuses there is `error` instead of this and the pixels. */
  readonly tolerance: number;
  readonly error?: string;
  readonly decoded: GoldenPixels;
  readonly transformed: readonly (GoldenPixels & { resizeSize: number; cropSize: number })[];
  readonly path: string;
}

const folderOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
export const GOLDEN_IMAGES = folderOf('../golden/images/');

function readIndex(index: string, folder: string): GoldenImage[] {
  const { images } = JSON.parse(readFileSync(index, 'utf8')) as { images: GoldenImage[] };
  return images.map((image) => ({ ...image, path: folder + image.file }));
}

const all = [
  ...readIndex(`${GOLDEN_IMAGES}index.json`, GOLDEN_IMAGES),
  ...readIndex(folderOf('fixtures/index.json'), folderOf('fixtures/images/')),
];

export const goodImages = all.filter((image) => image.error === undefined);
export const badImages = all.filter((image) => image.error !== undefined);

/**
 * The largest difference from the golden: 0 when the hashes are equal, else the largest among the sampled bytes (and at
 * least 1).
 */
export function worstDifference(actual: Uint8Array, golden: GoldenPixels): number {
  if (actual.length !== golden.width * golden.height * 3) return Number.POSITIVE_INFINITY;
  if (createHash('sha256').update(actual).digest('hex') === golden.sha256) return 0;
  const samples = Buffer.from(golden.base64, 'base64');
  let worst = 1;
  samples.forEach((sample, i) => {
    worst = Math.max(worst, Math.abs(sample - (actual[i * golden.stride] as number)));
  });
  return worst;
}
