import { ResNetError } from '../errors.js';
import type { StoredValues } from '../graph/parameters.js';
import { invalid } from '../is.js';
import { allocateBytes } from '../runtime/memory.js';
import { shapeSize } from '../shape.js';
import { nextStream, type Random } from './random.js';

/** Fills a parameter with its initial values. */
export type Initializer = (data: Float32Array, random: Random) => void;

type Float32s = Float32Array<ArrayBuffer>;
type Int64s = BigInt64Array<ArrayBuffer>;
type Int8s = Int8Array<ArrayBuffer>;

/** What a state dict holds under each key. Data lies in torch's order: the last size varies fastest. */
export type ModuleState = Parameter | ModuleBuffer;

/**
 * A tensor of a module's state. Its data is made when it is first read, so that a network whose weights are loaded
 * never pays for initial values; data that is still in a file is read then.
 */
abstract class LazyTensor<Data extends Float32s | Int64s | Int8s> {
  readonly shape: readonly number[];
  #data: Data | undefined;
  #stored: StoredValues | undefined;

  constructor(shape: readonly number[]) {
    this.shape = Object.freeze([...shape]);
  }

  protected abstract make(size: number): Data;
  protected abstract get arrayType(): new (
    size: number,
  ) => Data;

  /** Number of elements. */
  get size(): number {
    return shapeSize(this.shape);
  }

  get data(): Data {
    this.#data ??= (this.#stored?.read() as Data | undefined) ?? this.make(this.size);
    this.#stored = undefined; // whoever has the data may change it
    return this.#data;
  }

  /**
   * Takes the array itself, not a copy.
   * @throws ResNetError `INVALID_SHAPE` for another number of elements, `INVALID_ARGUMENT` for another type.
   */
  set data(data: Data) {
    if (!(data instanceof this.arrayType)) throw invalid('data', `a ${this.arrayType.name}`, data);
    if (data.length !== this.size) {
      const expected = `${this.size} elements for shape [${this.shape.join(', ')}]`;
      throw new ResNetError('INVALID_SHAPE', `Expected ${expected} but the data has ${data.length}`);
    }
    this.#data = data;
    this.#stored = undefined;
  }

  /** Where the values are as long as nobody has read or set them here. */
  get stored(): StoredValues | undefined {
    return this.#stored;
  }

  /** Takes values of the same number and dtype from a file; they are read when they are needed. */
  set stored(stored: StoredValues | undefined) {
    this.#stored = stored;
    this.#data = undefined;
  }

  protected discard(): void {
    this.stored = undefined;
  }
}

/** A learned tensor: float32, initialised from a random stream of its own. */
export class Parameter extends LazyTensor<Float32s> {
  readonly dtype = 'float32';
  readonly #stream = nextStream();
  #initializer: Initializer;

  constructor(shape: readonly number[], initializer: Initializer) {
    super(shape);
    this.#initializer = initializer;
  }

  /** Replaces the values by those of `initializer`, drawn from the same stream when the data is next read. */
  initialize(initializer: Initializer): void {
    this.#initializer = initializer;
    this.discard();
  }

  protected override make(size: number): Float32s {
    const data = float32s(size);
    this.#initializer(data, this.#stream());
    return data;
  }

  protected override get arrayType() {
    return Float32Array;
  }
}

/** A tensor that belongs to the state without being learned: torch calls it a buffer. */
export class ModuleBuffer extends LazyTensor<Float32s | Int64s | Int8s> {
  constructor(
    shape: readonly number[],
    readonly dtype: 'float32' | 'int64' | 'int8',
    /** Of every element. */
    readonly initialValue: number,
  ) {
    super(shape);
  }

  protected override make(size: number): Float32s | Int64s | Int8s {
    if (this.dtype === 'int8') return new Int8Array(size).fill(this.initialValue);
    if (this.dtype === 'int64') return new BigInt64Array(size).fill(BigInt(this.initialValue));
    return float32s(size).fill(this.initialValue);
  }

  protected override get arrayType() {
    return { int64: BigInt64Array, int8: Int8Array, float32: Float32Array }[this.dtype];
  }
}

/** In memory that compile reads in place. */
function float32s(size: number): Float32s {
  return new Float32Array(allocateBytes(4 * size).buffer as ArrayBuffer, 0, size);
}
