/**
 * float16 values of float32 ones, as their 16 bits: rounded to nearest, ties to even, as numpy does. Above 65,504 they
 * become infinite; NaN stays NaN.
 */
export function toHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = halfBits(bits[i] as number);
  return halves;
}

// The exponent's bias is 127 in float32 and 15 in float16; a mantissa has 23 and 10 bits.
const SMALLEST_NORMAL = (127 - 14) << 23;
const SMALLEST_OVERFLOW = (127 + 16) << 23;
const INFINITY_BITS = 0x7f800000;

function halfBits(float: number): number {
  const sign = (float >>> 16) & 0x8000;
  const magnitude = float & 0x7fffffff;
  if (magnitude >= SMALLEST_OVERFLOW) return sign | (magnitude > INFINITY_BITS ? 0x7e00 : 0x7c00);
  if (magnitude >= SMALLEST_NORMAL) {
    // A carry out of the mantissa goes into the exponent, up to infinity, which is right.
    return sign | (roundShift(magnitude, 13) - ((127 - 15) << 10));
  }
  const shift = 126 - (magnitude >>> 23);
  // Under half of the smallest subnormal, 2⁻²⁴.
  if (shift > 24) return sign;
  return sign | roundShift((magnitude & 0x7fffff) | 0x800000, shift);
}

/** `value` / 2^`shift`, to nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const half = 2 ** (shift - 1);
  const odd = (value >>> shift) & 1;
  return (value + half - 1 + odd) >>> shift;
}
