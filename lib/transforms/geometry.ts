// Where torchvision's Resize and CenterCrop put things, to its very rounding.

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The window of a crop in the resized picture; negative where the crop reaches beyond it. */
export interface CropWindow {
  readonly left: number;
  readonly top: number;
}

/** `size` with its shorter side made `resizeSize` and the other in proportion, rounded down. */
export function resizedSize({ width, height }: Size, resizeSize: number): Size {
  const longer = Math.trunc((resizeSize * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? { width: resizeSize, height: longer } : { width: longer, height: resizeSize };
}

/** A square of `cropSize` in the middle. */
export function centreCrop({ width, height }: Size, cropSize: number): CropWindow {
  return { left: centreOffset(width, cropSize), top: centreOffset(height, cropSize) };
}

/**
 * torchvision pads a side that is too short first, by half the missing pixels rounded down; it cuts a side that is long
 * enough at half the margin, which Python rounds to the even number of two that are as near.
 */
function centreOffset(side: number, crop: number): number {
  if (crop > side) return Math.floor((side - crop + 1) / 2);
  const margin = side - crop;
  const half = Math.floor(margin / 2);
  return margin % 2 === 0 ? half : half + (half % 2);
}
