// The photographs that bench/extract reads: crops of the two in test/golden/images, of the sizes and about the bytes
// that ImageNet's files have (500×375 in the median, 110 KB). They are the same whenever they are made.

import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';

const ROOT = join(import.meta.dirname, '..', '..');
const PHOTOS = ['china.jpg', 'flower.jpg'].map((name) => join(ROOT, 'test', 'golden', 'images', name));
// Width and height, as often as they are listed.
const SIZES = [
  [500, 375],
  [500, 375],
  [500, 375],
  [500, 333],
  [375, 500],
  [333, 500],
  [640, 480],
  [400, 300],
];
const QUALITY = 95;

/** A number in [0, 1) that depends on `seed` alone. */
function random(seed) {
  let x = Math.imul(seed + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

/** One crop, mirrored or not, brought to its size. */
async function picture(photo, { width: fullWidth, height: fullHeight }, i) {
  const [width, height] = SIZES[i % SIZES.length];
  const largest = Math.min(fullWidth / width, fullHeight / height);
  const scale = largest * (0.8 + 0.2 * random(4 * i));
  const [cropWidth, cropHeight] = [Math.floor(width * scale), Math.floor(height * scale)];
  const left = Math.floor((fullWidth - cropWidth) * random(4 * i + 1));
  const top = Math.floor((fullHeight - cropHeight) * random(4 * i + 2));
  return sharp(photo)
    .extract({ left, top, width: cropWidth, height: cropHeight })
    .flop(random(4 * i + 3) < 0.5)
    .resize(width, height, { fit: 'fill', kernel: 'lanczos3' })
    .sharpen()
    .jpeg({ quality: QUALITY, chromaSubsampling: '4:2:0' })
    .toBuffer();
}

/**
 * Makes `count` files in a folder below build/, unless they are there.
 * @returns the folder.
 */
export async function makeImages(count) {
  const folder = join(ROOT, 'build', 'bench-images', String(count));
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const facts = await Promise.all(PHOTOS.map((photo) => sharp(photo).metadata()));
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) {
      const bytes = await picture(PHOTOS[i % PHOTOS.length], facts[i % PHOTOS.length], i);
      await writeFile(join(unfinished, `${String(i).padStart(5, '0')}.jpg`), bytes);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  await rename(unfinished, folder);
  return folder;
}
