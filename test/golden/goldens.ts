import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readStateDict } from '../../lib/weights/read.js';
import type { StateDict } from '../../lib/weights/state-dict.js';
import { type Entry, seededStateDict } from './seeded.js';

export { type Entry, seededStateDict };

/** What torchvision says about a network. */
export interface Architecture {
  /** Number of learned values. */
  readonly parameters: number;
  readonly stateDict: readonly Entry[];
  /** torchvision's `get_graph_node_names` in eval mode; for its own builders only. */
  readonly nodes?: readonly string[];
}

/** A network of torchvision's by its builder, or one by what the constructor of ResNet takes. */
export type NetworkRecipe =
  | { readonly builder: string }
  | {
      readonly block: 'BasicBlock' | 'Bottleneck';
      readonly layers: readonly number[];
      readonly options: Readonly<Record<string, unknown>>;
    };

/** The value of a node: every `stride`-th element of the flattened NCHW tensor of `shape`. */
export interface GoldenOutput {
  readonly shape: readonly number[];
  readonly stride: number;
  readonly values: Float64Array;
}

/** A batch of pictures and what the network makes of it. */
export interface GoldenCase {
  readonly input: string;
  /** uint8 NHWC. */
  readonly pixels: Uint8Array;
  readonly shape: readonly [n: number, height: number, width: number, channels: number];
  /** By torchvision's node name; `fc`, the logits, is complete. */
  readonly outputs: ReadonlyMap<string, GoldenOutput>;
  /** Relative error of the mean over the pictures, an answer that ignores them: tolerances must be far below. */
  readonly constantError: number;
  /** Relative error of torch in float32. */
  readonly float32Error: number;
}

export interface GoldenNetwork {
  readonly name: string;
  readonly recipe: NetworkRecipe;
  /**
   * The state dict, complete and in torchvision's key order: seeded parameters, measured statistics. Made by each
   * call, in up to a second, because the large ones are half a gigabyte.
   */
  makeState(): StateDict;
  readonly cases: readonly GoldenCase[];
  /** SHA-256 of the little-endian bytes of some parameters, as Python computed them. */
  readonly sha256: Readonly<Record<string, string>>;
}

interface IndexedCase extends Pick<GoldenCase, 'input' | 'constantError' | 'float32Error'> {
  readonly outputs: Record<string, Pick<GoldenOutput, 'shape' | 'stride'>>;
}

type IndexedNetwork = NetworkRecipe &
  Pick<GoldenNetwork, 'sha256'> & { readonly cases: readonly IndexedCase[] };

/** By name: torchvision's ten builders, then the configurations that torchvision has no builder for. */
export const architectures: Readonly<Record<string, Architecture>> = readJson('architectures.json');

const { networks } = readJson<{ networks: Record<string, IndexedNetwork> }>('networks/index.json');

/** Names of all networks with goldens. */
export const networkNames: readonly string[] = Object.keys(networks);

/** The goldens of one network. Quick: the state dict is made when it is asked for. */
export async function loadGolden(name: string): Promise<GoldenNetwork> {
  const indexed = networks[name];
  const architecture = architectures[name];
  if (!indexed || !architecture) throw new Error(`No goldens for ${name}: there are ${networkNames}`);
  const { sha256, cases, ...recipe } = indexed;
  const tensors = await readStateDict(pathOf(`networks/${name}.safetensors`));
  const inputs = await readStateDict(pathOf('networks/inputs.safetensors'));
  return {
    name,
    recipe,
    makeState: () => completeState(architecture.stateDict, tensors),
    cases: cases.map((indexedCase) => toCase(indexedCase, inputs, tensors)),
    sha256,
  };
}

/** torchvision's normalisation of uint8 NHWC pixels, computed in double precision: float32 NCHW. */
export function normalise(
  pixels: Uint8Array,
  [n, height, width, channels]: GoldenCase['shape'],
): Float32Array {
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const area = height * width;
  const result = new Float32Array(pixels.length);
  for (let image = 0; image < n; image++) {
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < channels; c++) {
        const pixel = pixels[(image * area + i) * channels + c] as number;
        result[(image * channels + c) * area + i] = (pixel / 255 - (mean[c] as number)) / (std[c] as number);
      }
    }
  }
  return result;
}

/** worst |actual - expected| / worst |expected|, over the elements that were kept; NaN if any is. */
export function relativeError(actual: Float32Array, expected: GoldenOutput): number {
  const size = expected.shape.reduce((product, length) => product * length, 1);
  if (actual.length !== size) throw new Error(`Expected ${size} values but received ${actual.length}`);
  let difference = 0;
  let largest = 0;
  expected.values.forEach((value, i) => {
    difference = Math.max(difference, Math.abs((actual[i * expected.stride] as number) - value));
    largest = Math.max(largest, Math.abs(value));
  });
  return difference / largest;
}

/**
 * The cosine between two batches of rows, each less its mean over the batch: what tells the pictures apart, and nothing
 * that all answers share. 0 where one of them does not tell them apart at all.
 */
export function centredCosine(actual: ArrayLike<number>, expected: GoldenOutput): number {
  const [rows = 0, columns = 0] = expected.shape;
  let product = 0;
  let actualNorm = 0;
  let expectedNorm = 0;
  for (let column = 0; column < columns; column++) {
    const at = (values: ArrayLike<number>, row: number) => values[row * columns + column] as number;
    const mean = (values: ArrayLike<number>) => {
      let sum = 0;
      for (let row = 0; row < rows; row++) sum += at(values, row);
      return sum / rows;
    };
    const [actualMean, expectedMean] = [mean(actual), mean(expected.values)];
    for (let row = 0; row < rows; row++) {
      const [a, b] = [at(actual, row) - actualMean, at(expected.values, row) - expectedMean];
      product += a * b;
      actualNorm += a * a;
      expectedNorm += b * b;
    }
  }
  return actualNorm === 0 || expectedNorm === 0 ? 0 : product / Math.sqrt(actualNorm * expectedNorm);
}

function completeState(entries: readonly Entry[], statistics: StateDict): StateDict {
  const parameters = seededStateDict(entries);
  const counter = { dtype: 'int64', shape: [], data: BigInt64Array.of(1n) } as const;
  const state: StateDict = new Map();
  for (const [name] of entries) {
    const tensor = name.endsWith('.num_batches_tracked')
      ? counter
      : (parameters.get(name) ?? tensorOf(statistics, name));
    state.set(name, tensor);
  }
  return state;
}

function toCase(indexed: IndexedCase, inputs: StateDict, tensors: StateDict): GoldenCase {
  const { input, constantError, float32Error } = indexed;
  const { data, shape } = tensorOf(inputs, input);
  const outputs = Object.entries(indexed.outputs).map(([node, described]): [string, GoldenOutput] => {
    const values = tensorOf(tensors, `${input}/${node}`).data as Float64Array;
    return [node, { ...described, values }];
  });
  return {
    input,
    pixels: data as Uint8Array,
    shape: shape as unknown as GoldenCase['shape'],
    outputs: new Map(outputs),
    constantError,
    float32Error,
  };
}

function tensorOf(state: StateDict, name: string) {
  const tensor = state.get(name);
  if (!tensor) throw new Error(`The golden file has no ${name}`);
  return tensor;
}

function pathOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(pathOf(path), 'utf8')) as T;
}
