import { describe, expect, test } from 'vitest';
import { copyOf, toFloat32, toInt64 } from '../../lib/weights/convert.js';
import type { StateData, StateDType } from '../../lib/weights/state-dict.js';

function convert(dtype: StateDType, data: StateData): Float32Array {
  return toFloat32({ dtype, shape: [data.length], data });
}

/** IEEE 754's definition of a value of 16 bits, with the given split into exponent and fraction. */
function decode(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

describe('to float32', () => {
  test.each([
    ['float16', 5],
    ['bfloat16', 8],
  ] as const)('%s: each of its values', (dtype, exponentBits) => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const converted = convert(dtype, all);
    const wrong = [...all].filter((bits) => !Object.is(converted[bits], decode(bits, exponentBits)));
    expect(wrong).toEqual([]);
  });

  test('float64 is rounded to nearest', () => {
    const converted = convert('float64', Float64Array.of(1 / 3, 1e300, -1e-300, Number.NaN));
    expect([...converted]).toEqual([Math.fround(1 / 3), Number.POSITIVE_INFINITY, -0, Number.NaN]);
  });

  test('integers and bool', () => {
    expect([...convert('int64', BigInt64Array.of(-3n, 2n ** 62n))]).toEqual([-3, 2 ** 62]);
    expect([...convert('uint64', BigUint64Array.of(2n ** 64n - 1n))]).toEqual([2 ** 64]);
    expect([...convert('int8', Int8Array.of(-128, 127))]).toEqual([-128, 127]);
    expect([...convert('uint16', Uint16Array.of(65535))]).toEqual([65535]);
    expect([...convert('bool', Uint8Array.of(1, 0))]).toEqual([1, 0]);
  });

  test('float32 is not copied, unless asked', () => {
    const tensor = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) } as const;
    expect(toFloat32(tensor)).toBe(tensor.data);
    const copy = copyOf(tensor);
    expect(copy).toEqual(tensor);
    expect(copy.data.buffer).not.toBe(tensor.data.buffer);
  });
});

test('to int64: fractions are cut off, what is no number becomes 0', () => {
  const data = Float32Array.of(2.9, -2.9, Number.NaN, Number.POSITIVE_INFINITY);
  expect([...toInt64({ dtype: 'float32', shape: [4], data })]).toEqual([2n, -2n, 0n, 0n]);
  expect([...toInt64({ dtype: 'int32', shape: [1], data: Int32Array.of(-7) })]).toEqual([-7n]);
});
