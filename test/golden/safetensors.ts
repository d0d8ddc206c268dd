import { readFileSync } from 'node:fs';
import type { StateDict } from '../../lib/weights/state-dict.js';

const DTYPES = {
  F64: { dtype: 'float64', array: Float64Array },
  F32: { dtype: 'float32', array: Float32Array },
  U8: { dtype: 'uint8', array: Uint8Array },
} as const;

interface Header {
  readonly dtype: keyof typeof DTYPES;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [start: number, end: number];
}

/** Reads a golden file without the library's reader, which is itself under test: trusted files, three dtypes. */
export function readTensors(file: URL): StateDict {
  const bytes = new Uint8Array(readFileSync(file));
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header: Record<string, Header> = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + headerLength)),
  );
  const state: StateDict = new Map();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [start, end] = data_offsets;
    const format = DTYPES[dtype];
    const data = new format.array(bytes.slice(8 + headerLength + start, 8 + headerLength + end).buffer);
    state.set(name, { dtype: format.dtype, shape, data });
  }
  return state;
}
