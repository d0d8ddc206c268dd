import { allocateBytes } from '../runtime/memory.js';
import { inTurns } from './in-turns.js';
import type { ByteSource } from './source.js';

/** Bytes [start, end) of a file. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Cache line and vector: data aligned to this in the file (torch pads for it) is aligned in memory too. */
const ALIGNMENT = 64;

/**
 * Reads parts of a file into one block of memory, of which they become views, neighbours with one read.
 * @param sorted parts that do not overlap, by their start and then their end.
 * @param origin where in the file their offsets count from.
 */
export async function readExtents<E extends Extent>(
  source: ByteSource,
  sorted: readonly E[],
  origin = 0,
): Promise<Map<E, Uint8Array>> {
  const runs: { start: number; end: number; at: number }[] = [];
  let size = 0;
  const places = sorted.map(({ start, end }) => {
    let run = runs.at(-1);
    if (run?.end !== start) {
      size += ALIGNMENT - (size % ALIGNMENT) + (start % ALIGNMENT);
      run = { start, end, at: size };
      runs.push(run);
    }
    run.end = end;
    size += end - start;
    return run.at + start - run.start;
  });
  const block = allocateBytes(size);
  for (const { start, end, at } of runs)
    await source.read(block.subarray(at, at + end - start), origin + start);
  return viewsOf(block, sorted, places);
}

/** Reads parts of a file into one block of memory, in which each is aligned whatever it is in the file. */
export async function readAligned<E extends Extent>(
  source: ByteSource,
  extents: readonly E[],
): Promise<Map<E, Uint8Array>> {
  let size = 0;
  const places = extents.map(({ start, end }) => {
    const at = size;
    size += Math.ceil((end - start) / ALIGNMENT) * ALIGNMENT;
    return at;
  });
  const block = allocateBytes(size);
  const parts = viewsOf(block, extents, places);
  await inTurns([...parts], ([{ start }, part]) => source.read(part, start));
  return parts;
}

/** @param places where each of them begins in the block. */
function viewsOf<E extends Extent>(
  block: Uint8Array,
  extents: readonly E[],
  places: readonly number[],
): Map<E, Uint8Array> {
  return new Map(
    extents.map((extent, i) => {
      const at = places[i] as number;
      return [extent, block.subarray(at, at + extent.end - extent.start)];
    }),
  );
}
