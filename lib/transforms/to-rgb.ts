import { setImmediate } from 'node:timers/promises';
import type { GifFrame } from './headers.js';

// The conversions to RGB that Pillow does in another way than libvips. They run in JavaScript, a slice at a time so
// that the event loop is not held up: files that need them are rare.

const SLICE_PIXELS = 1 << 17;

/** Runs `convert(begin, end)` over `pixels`, and lets others in between the slices. */
async function inSlices(pixels: number, convert: (begin: number, end: number) => void): Promise<void> {
  for (let begin = 0; begin < pixels; begin += SLICE_PIXELS) {
    if (begin > 0) await setImmediate();
    convert(begin, Math.min(begin + SLICE_PIXELS, pixels));
  }
}

/** CMYK ink to RGB without a profile: 255 less the black, times what each ink leaves; rounded as Pillow rounds. */
export async function cmykToRgb(cmyk: Uint8Array): Promise<Uint8Array> {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  await inSlices(cmyk.length / 4, (begin, end) => {
    for (let from = 4 * begin, to = 3 * begin; from < 4 * end; from += 4, to += 3) {
      const light = 255 - (cmyk[from + 3] as number);
      rgb[to] = light - scaled(cmyk[from] as number, light);
      rgb[to + 1] = light - scaled(cmyk[from + 1] as number, light);
      rgb[to + 2] = light - scaled(cmyk[from + 2] as number, light);
    }
  });
  return rgb;
}

/** a * b / 255, rounded, in integers. */
function scaled(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/** 16-bit grey to RGB: Pillow clips it at 255 rather than dividing it. */
export async function clippedGreyToRgb(grey: Uint16Array): Promise<Uint8Array> {
  const rgb = new Uint8Array(grey.length * 3);
  await inSlices(grey.length, (begin, end) => {
    for (let i = begin; i < end; i++) rgb.fill(Math.min(grey[i] as number, 255), 3 * i, 3 * i + 3);
  });
  return rgb;
}

/** Drops alpha, and paints what a GIF's first frame leaves out as Pillow does: clear pixels, and all around the frame. */
export async function gifToRgb(rgba: Uint8Array, width: number, frame: GifFrame): Promise<Uint8Array> {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  await inSlices(rgba.length / 4, (begin, end) => {
    for (let i = begin; i < end; i++) {
      const x = (i % width) - frame.left;
      const y = Math.floor(i / width) - frame.top;
      const inside = x >= 0 && x < frame.width && y >= 0 && y < frame.height;
      const shown = inside && rgba[4 * i + 3] !== 0;
      for (let c = 0; c < 3; c++) rgb[3 * i + c] = (shown ? rgba[4 * i + c] : frame.clear[c]) as number;
    }
  });
  return rgb;
}
