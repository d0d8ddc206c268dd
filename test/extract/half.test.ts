import { expect, test } from 'vitest';
import { toHalf } from '../../lib/extract/half.js';

/** The value of float16 bits, straight from the definition. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

const ALL = Array.from({ length: 2 ** 16 }, (_, bits) => bits);
const isNumber = (bits: number) => !Number.isNaN(halfValue(bits));

test('every float16 is itself', () => {
  const numbers = ALL.filter(isNumber);
  expect([...toHalf(Float32Array.from(numbers, halfValue))]).toEqual(numbers);
});

test('between two of them the nearer one is taken, and the even one in the middle', () => {
  // Positive finite ones but the last, each with the next.
  const lower = ALL.slice(0, 0x7bff);
  const middles = Float32Array.from(lower, (bits) => (halfValue(bits) + halfValue(bits + 1)) / 2);
  const nudged = (sign: number) => middles.map((value) => value * (1 + sign * 2 ** -20));
  expect([...toHalf(middles)]).toEqual(lower.map((bits) => bits + (bits % 2)));
  expect([...toHalf(nudged(-1))]).toEqual(lower);
  expect([...toHalf(nudged(1))]).toEqual(lower.map((bits) => bits + 1));
});

test('what is too large becomes infinite, too small zero; NaN and signs stay', () => {
  const values = [
    65519.99,
    65520,
    1e30,
    -1e30,
    Number.POSITIVE_INFINITY,
    2 ** -25,
    2 ** -26,
    -(2 ** -40),
    -0,
    1e-45,
  ];
  const expected = [0x7bff, 0x7c00, 0x7c00, 0xfc00, 0x7c00, 0, 0, 0x8000, 0x8000, 0];
  expect([...toHalf(Float32Array.from(values))]).toEqual(expected);
  expect(halfValue(toHalf(Float32Array.of(Number.NaN))[0] as number)).toBeNaN();
});
