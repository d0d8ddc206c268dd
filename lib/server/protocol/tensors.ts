import { show } from '../../is.js';
import { Tensor } from '../../tensor.js';
import { toFloat32 } from '../../weights/convert.js';
import { badRequest } from '../request-error.js';
import type { ServedModel } from '../served-model.js';

/** A tensor of the Open Inference Protocol as it came: its values are bytes (little-endian), or numbers. */
export interface InputTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array | readonly unknown[] | Float32Array;
}

const ITEM_SIZE: Readonly<Record<string, number>> = { FP32: 4, FP16: 2, UINT8: 1 };

/**
 * The batch of a request: its only input, which is `input` (FP32 or FP16 [n, c, h, w], already normalised) or `image`
 * (UINT8 [n, h, w, c]).
 * @throws RequestError 400.
 */
export function batchOf(inputs: readonly InputTensor[], model: ServedModel): Tensor {
  const [input, ...others] = inputs;
  if (!input || others.length > 0) {
    const names = inputs.map(({ name }) => name);
    throw badRequest(`Expected exactly one of the inputs "input" and "image" but received ${show(names)}`);
  }
  const { channels, maxBatch } = model.session;
  const datatypes = datatypesOf(input.name);
  if (!datatypes.includes(input.datatype)) {
    const received = show(input.datatype);
    throw badRequest(
      `Expected the datatype ${datatypes.join(' or ')} for ${show(input.name)} but received ${received}`,
    );
  }
  const count = checkShape(input, channels, maxBatch);
  if (input.datatype === 'UINT8') return Tensor.fromUint8(bytesOf(input, count), input.shape);
  return Tensor.fromFloat32(floatsOf(input, count), input.shape);
}

function datatypesOf(name: string): readonly string[] {
  if (name === 'input') return ['FP32', 'FP16'];
  if (name === 'image') return ['UINT8'];
  throw badRequest(`There is no input ${show(name)}; the inputs are "input" and "image"`);
}

/** Returns the number of elements. */
function checkShape({ name, shape }: InputTensor, channels: number, maxBatch: number): number {
  const dims = name === 'image' ? ['n', 'h', 'w', channels] : ['n', channels, 'h', 'w'];
  const fits = (size: number, i: number) =>
    Number.isSafeInteger(size) && size > 0 && (typeof dims[i] === 'string' || size === dims[i]);
  if (shape.length !== 4 || !shape.every(fits)) {
    throw badRequest(`Expected the shape [${dims.join(', ')}] for ${show(name)} but received ${show(shape)}`);
  }
  const [n = 0] = shape;
  if (n > maxBatch) throw badRequest(`Expected a batch of at most ${maxBatch} but received ${n}: split it`);
  return shape.reduce((product, size) => product * size, 1);
}

function checkLength({ name, shape }: InputTensor, expected: number, received: number, what: string): void {
  if (received === expected) return;
  throw badRequest(`${show(name)} ${show(shape)} takes ${expected} ${what} but received ${received}`);
}

function bytesOf(input: InputTensor, count: number): Uint8Array {
  const { data } = input;
  if (data instanceof Uint8Array) {
    checkLength(input, count, data.length, 'bytes');
    return data;
  }
  return new Uint8Array(numbersOf(input, count, isByte));
}

const isByte = (value: number) => Number.isInteger(value) && value >= 0 && value <= 255;

function floatsOf(input: InputTensor, count: number): Float32Array {
  const { data, datatype } = input;
  if (data instanceof Uint8Array) {
    checkLength(input, count * (ITEM_SIZE[datatype] as number), data.length, 'bytes');
    return datatype === 'FP32' ? float32View(data) : halfToFloat(data);
  }
  if (datatype === 'FP16') throw badRequest(`FP16 has no JSON form: send ${show(input.name)} as binary data`);
  if (data instanceof Float32Array) {
    checkLength(input, count, data.length, 'values');
    return data;
  }
  return new Float32Array(numbersOf(input, count, () => true));
}

/** Where the bytes do not begin at a multiple of 4 there can be no view: then a copy. */
function float32View(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(aligned.buffer, aligned.byteOffset, bytes.length / 4);
}

function halfToFloat(bytes: Uint8Array): Float32Array {
  const copy = new Uint8Array(bytes);
  const data = new Uint16Array(copy.buffer);
  return toFloat32({ dtype: 'float16', shape: [data.length], data });
}

/** The values of a list, counted before memory is taken for what the shape claims. */
function numbersOf(input: InputTensor, count: number, isGood: (value: number) => boolean): number[] {
  const values = flatten(input.data as readonly unknown[], input.shape.length);
  checkLength(input, count, values.length, 'values');
  const bad = values.findIndex((value) => typeof value !== 'number' || !isGood(value));
  if (bad < 0) return values as number[];
  throw badRequest(`Expected a number that the datatype can hold but received ${show(values[bad])}`);
}

/** What is in lists in lists, at most so deep: a client may nest them without end. */
function flatten(values: readonly unknown[], depth: number): readonly unknown[] {
  if (depth === 1 || !values.some(Array.isArray)) return values;
  const flat: unknown[] = [];
  for (const value of values) {
    if (!Array.isArray(value)) flat.push(value);
    else for (const inner of flatten(value, depth - 1)) flat.push(inner);
  }
  return flat;
}
