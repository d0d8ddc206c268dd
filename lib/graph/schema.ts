import type { GraphNode, OpName } from './graph.js';
import { integer, listOf, optional, pair, type Reader, readName, readNumber } from './readers.js';

// The fields of every operation, as a table that the compiler holds against the types of graph.ts, with a reader for
// each that lets no other value through.

type NodeOf<Op extends OpName> = Extract<GraphNode, { op: Op }>;

type Schema<Op extends OpName> = {
  readonly inputs: number;
  readonly fields: {
    readonly [Field in Exclude<keyof NodeOf<Op>, 'name' | 'op' | 'inputs' | 'scale'>]-?: Reader<
      NodeOf<Op>[Field]
    >;
  };
};

// Those of native/graph/validate.cc, so that a file that is read can be compiled.
const MAX_SIZE = 2 ** 15;
const MAX_FEATURES = 2 ** 24;

const positive = integer(1, MAX_SIZE);
const natural = integer(0, MAX_SIZE);
const channels = positive;
const features = integer(1, MAX_FEATURES);

export const OPERATIONS: { readonly [Op in OpName]: Schema<Op> } = {
  input: { inputs: 0, fields: { channels } },
  normalize: { inputs: 1, fields: { mean: listOf(readNumber), std: listOf(readNumber) } },
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
      weightScale: optional(readName),
      bias: optional(readName),
    },
  },
  batch_norm: {
    inputs: 1,
    fields: {
      features: channels,
      eps: (value, what) => readNumber(value, what, 0),
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
    fields: {
      inFeatures: features,
      outFeatures: features,
      weight: readName,
      weightScale: optional(readName),
      bias: optional(readName),
    },
  },
  add: { inputs: 2, fields: {} },
  zero_pad_shortcut: { inputs: 1, fields: { stride: positive, outChannels: channels } },
};
