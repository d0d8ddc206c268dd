import { checkInteger } from '../is.js';

let seed = 0;
let streamsTaken = 0;

/**
 * Seeds the initial values of parameters made from here on: the same calls after the same seed give the same bits.
 * Every parameter has a random stream of its own, numbered in the order of construction, so its values do not depend
 * on when, or whether, those of others are read. Until this is called the seed is 0.
 * @throws ResNetError `INVALID_ARGUMENT` unless `value` is a non-negative safe integer.
 */
export function manualSeed(value: number): void {
  seed = checkInteger('the seed', value, 0);
  streamsTaken = 0;
}

/** The next stream of the current seed. It costs nothing until it is drawn from. */
export function nextStream(): () => Random {
  const [streamSeed, stream] = [seed, streamsTaken++];
  return () => new Random(streamSeed, stream);
}

/** Uniform and normal numbers from Chris Doty-Humphrey's sfc32, a generator of 128 bits of state. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, stream: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = stream | 0;
    for (let i = 0; i < 16; i++) this.#next();
  }

  #next(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result;
  }

  /** In the open interval (-1, 1). */
  #signed(): number {
    return (this.#next() + 0.5) * 2 ** -31;
  }

  /** Fills `data` from the uniform distribution over (-bound, bound). */
  fillUniform(data: Float32Array, bound: number): void {
    for (let i = 0; i < data.length; i++) data[i] = bound * this.#signed();
  }

  /** Fills `data` from the normal distribution around 0, two values at a time by Marsaglia's polar method. */
  fillNormal(data: Float32Array, std: number): void {
    for (let i = 0; i < data.length; i += 2) {
      let u: number;
      let v: number;
      let square: number;
      do {
        u = this.#signed();
        v = this.#signed();
        square = u * u + v * v;
      } while (square >= 1);
      const scale = std * Math.sqrt((-2 * Math.log(square)) / square);
      data[i] = u * scale;
      // Beyond the end of an odd-sized array a typed array drops the write.
      data[i + 1] = v * scale;
    }
  }
}
