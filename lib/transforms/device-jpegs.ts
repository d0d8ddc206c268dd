import { ResNetError } from '../errors.js';
import { type NativeCropGeometry, type NativeJpeg, native } from '../runtime/native.js';
import type { DecodeJpeg } from './classification.js';

interface Waiting extends NativeJpeg {
  readonly resolve: (crop: Uint8Array | null) => void;
  readonly reject: (error: unknown) => void;
}

/** More would make the first ones wait; the device splits what does not fit. */
const MOST_TOGETHER = 64;

/**
 * JPEGs decoded and resized on a device. Files that come while it is busy go there together; those for which memory is
 * wanting, the host takes.
 * @throws ResNetError `DEVICE_UNAVAILABLE`, naming what is missing, or `UNSUPPORTED` where the device decodes nothing.
 */
export async function jpegsOn(device: string): Promise<DecodeJpeg> {
  await native().decodeJpegs(device, []);
  const waiting: Waiting[] = [];
  let busy = false;

  async function work() {
    busy = true;
    // What asks in this turn of the event loop comes along.
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const batch = waiting.splice(0, MOST_TOGETHER);
      try {
        const crops = await native().decodeJpegs(device, batch);
        batch.forEach(({ resolve }, i) => {
          resolve(crops[i] ?? null);
        });
      } catch (error) {
        const outOfMemory = error instanceof ResNetError && error.code === 'OUT_OF_MEMORY';
        for (const { resolve, reject } of batch) outOfMemory ? resolve(null) : reject(error);
      }
    }
    busy = false;
  }

  const onDevice = (file: Uint8Array, height: number, width: number, geometry: NativeCropGeometry) =>
    new Promise<Uint8Array | null>((resolve, reject) => {
      waiting.push({ file, height, width, geometry, resolve, reject });
      if (!busy) void work();
    });
  // What the device leaves, the host takes.
  return async (...jpeg) => (await onDevice(...jpeg)) ?? (await native().resizeCropJpeg?.(...jpeg)) ?? null;
}
