// What every engine's own tool quantises with in bench/extract: some of the images that are measured, normalised.

import { Tensor, transforms } from '../../dist/index.js';
import { calibrationImages } from '../../dist/tasks/calibration-images.js';

const IMAGES = 64;

/** A float32 tensor [n, 3, 224, 224] of images from all over the list. */
export async function calibrationTensor(files) {
  const step = Math.ceil(files.length / IMAGES);
  const chosen = files.filter((_, i) => i % step === 0);
  const transform = transforms.classification();
  const { cropSize, mean, std } = transform;
  const area = cropSize * cropSize;
  const data = new Float32Array(chosen.length * 3 * area);
  let at = 0;
  for await (const { data: pixels } of calibrationImages(chosen, transform, chosen.length)) {
    for (let i = 0; i < pixels.length; i++) {
      const c = i % 3;
      const [image, pixel] = [Math.floor(i / (3 * area)), Math.floor(i / 3) % area];
      data[at + (3 * image + c) * area + pixel] = (pixels[i] / 255 - mean[c]) / std[c];
    }
    at += pixels.length;
  }
  return Tensor.fromFloat32(data, [chosen.length, 3, cropSize, cropSize]);
}
