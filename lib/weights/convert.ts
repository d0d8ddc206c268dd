import { allocateBytes, copyBytes } from '../runtime/memory.js';
import { type StateTensor, tensorOver } from './state-dict.js';

/**
 * The tensor's values as float32: its own array if it is float32, else a new one. float64 is rounded to nearest, 64-bit
 * integers too; infinities and NaN stay what they are.
 */
export function toFloat32({ dtype, data }: StateTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  const bytes = allocateBytes(data.length * 4);
  const result = new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, data.length);
  if (dtype === 'float16') fillFromHalf(result, data as Uint16Array);
  else if (dtype === 'bfloat16') fillFromBfloat16(result, data as Uint16Array);
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) fillFromBigInt(result, data);
  else result.set(data);
  return result;
}

/** The tensor's values as 64-bit integers, fractions cut off: its own array if it is int64, else a new one. */
export function toInt64({ data }: StateTensor): BigInt64Array {
  if (data instanceof BigInt64Array) return data;
  if (data instanceof BigUint64Array) return BigInt64Array.from(data);
  return BigInt64Array.from(data, (value) => (Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n));
}

/** The same tensor in memory of its own. */
export function copyOf({ data, dtype, shape }: StateTensor): StateTensor {
  return tensorOver(copyBytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)), dtype, shape);
}

function fillFromBfloat16(target: Float32Array, source: Uint16Array): void {
  // A bfloat16 is the upper half of a float32. Going through bits keeps the payload of a NaN.
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = (source[i] as number) << 16;
}

let halfTable: Uint32Array | undefined;

function fillFromHalf(target: Float32Array, source: Uint16Array): void {
  halfTable ??= makeHalfTable();
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = halfTable[source[i] as number] as number;
}

/** The float32 bits of every float16: 256 KiB that stay in the cache, several times faster than arithmetic. */
function makeHalfTable(): Uint32Array {
  const table = new Uint32Array(65536);
  const value = new Float32Array(1);
  const bits = new Uint32Array(value.buffer);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 0) {
      value[0] = fraction * 2 ** -24;
      table[half] = sign | (bits[0] as number);
    } else {
      const rebased = exponent === 31 ? 255 : exponent + 112;
      table[half] = sign | (rebased << 23) | (fraction << 13);
    }
  }
  return table;
}

function fillFromBigInt(target: Float32Array, source: BigInt64Array | BigUint64Array): void {
  for (let i = 0; i < source.length; i++) target[i] = Number(source[i]);
}
