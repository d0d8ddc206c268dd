import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import type { GraphNode, OpName, Pair } from './graph.js';

// The fields of every operation, as a table that the compiler holds against the types of graph.ts, with a reader for
// each that lets no other value through.

/** Returns the value, checked; throws WeightsFormatError, saying `what` it is. */
export type Reader<T> = (value: unknown, what: string) => T;

type NodeOf<Op extends OpName> = Extract<GraphNode, { op: Op }>;

type Schema<Op extends OpName> = {
  readonly inputs: number;
  readonly fields: {
    readonly [Field in Exclude<keyof NodeOf<Op>, 'name' | 'op' | 'inputs'>]-?: Reader<NodeOf<Op>[Field]>;
  };
};

// Far above any real network, and far below where products of a few of them leave the exact integers.
const MAX_CHANNELS = 2 ** 24;
const MAX_WINDOW = 2 ** 12;
const MAX_NAME_LENGTH = 512;

const channels = integer(1, MAX_CHANNELS);
const positive = integer(1, MAX_WINDOW);
const natural = integer(0, MAX_WINDOW);

export const OPERATIONS: { readonly [Op in OpName]: Schema<Op> } = {
  input: { inputs: 0, fields: { channels } },
  normalize: { inputs: 1, fields: { mean: numbers, std: numbers } },
  conv2d: {
    inputs: 1,
    fields: {
      inChannels: channels,
      outChannels: channels,
      kernelSize: pair(positive),
      stride: pair(positive),
      padding: pair(natural),
      dilation: pair(positive),
      groups: channels,
      weight: readName,
      bias: optional(readName),
    },
  },
  batch_norm: {
    inputs: 1,
    fields: {
      features: channels,
      eps: (value, what) => number(value, what, 0),
      weight: optional(readName),
      bias: optional(readName),
      runningMean: readName,
      runningVar: readName,
    },
  },
  relu: { inputs: 1, fields: {} },
  max_pool2d: {
    inputs: 1,
    fields: {
      kernelSize: pair(positive),
      stride: pair(positive),
      padding: pair(natural),
      dilation: pair(positive),
    },
  },
  global_avg_pool: { inputs: 1, fields: {} },
  flatten: { inputs: 1, fields: {} },
  linear: {
    inputs: 1,
    fields: { inFeatures: channels, outFeatures: channels, weight: readName, bias: optional(readName) },
  },
  add: { inputs: 2, fields: {} },
  zero_pad_shortcut: { inputs: 1, fields: { stride: positive, outChannels: channels } },
};

/** A node's, alias's or tensor's name. `__proto__` is none: names become keys of objects. */
export function readName(value: unknown, what: string): string {
  if (typeof value !== 'string') throw unexpected(what, 'a string', value);
  const printable = /^[^\p{Cc}\p{Cs}]+$/u.test(value) && value.length <= MAX_NAME_LENGTH;
  if (!printable || value === '__proto__') {
    throw unexpected(what, `a name of 1 to ${MAX_NAME_LENGTH} printable characters`, value);
  }
  return value;
}

export function unexpected(what: string, expected: string, received: unknown): WeightsFormatError {
  return new WeightsFormatError(`Expected ${expected} for ${what} but the file has ${describe(received)}`);
}

/** Never looks inside objects and lists: a hostile file may nest them as deep as it likes. */
function describe(value: unknown): string {
  if (value === undefined) return 'none';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : show(value);
}

function integer(min: number, max: number): Reader<number> {
  return (value, what) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    throw unexpected(what, `an integer from ${min} to ${max}`, value);
  };
}

function number(value: unknown, what: string, min = -Number.MAX_VALUE): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= min) return value;
  throw unexpected(what, min === 0 ? 'a number of at least 0' : 'a number', value);
}

function numbers(value: unknown, what: string): readonly number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_CHANNELS) {
    throw unexpected(what, 'a list of numbers', value);
  }
  return value.map((item) => number(item, what));
}

function pair(read: Reader<number>): Reader<Pair> {
  return (value, what) => {
    if (!Array.isArray(value) || value.length !== 2) throw unexpected(what, '[height, width]', value);
    return [read(value[0], what), read(value[1], what)];
  };
}

function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, what) => (value === undefined ? undefined : read(value, what));
}
