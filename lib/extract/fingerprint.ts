import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Graph, GraphNode } from '../graph/graph.js';
import { resolveNode } from '../graph/names.js';
import { neededGraph } from '../graph/needed.js';
import { parameterShapes, readValues } from '../graph/parameters.js';
import { serializeGraph } from '../graph/serialize.js';
import type { Compilable } from '../runtime/compilable.js';
import type { ClassificationTransform } from '../transforms/index.js';
import type { FeatureFormat, StoredDType } from './sinks/sink.js';

/** What features depend on: two runs with equal fingerprints give features that belong together. */
export interface Fingerprint {
  /** SHA-256 of the graph and of the parameters, as far as the outputs need them. */
  readonly weights: string;
  /** SHA-256 of the scales of int8, where the network has some. */
  readonly scales?: string;
  readonly transform: object;
  readonly outputs: readonly string[];
  /** Computed in. */
  readonly dtype: string;
  readonly storeDtype: StoredDType;
  readonly format: FeatureFormat;
  readonly pool: boolean;
  readonly normalize: boolean;
  readonly topK: number;
  /** Of the package. */
  readonly version: string;
}

export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  return version;
}

/** What features depend on of the part of a network that `outputs` need: its graph, parameters and scales. */
export function networkFacts(
  { graph: whole, parameters }: Compilable,
  outputs: readonly string[],
): Pick<Fingerprint, 'weights' | 'scales'> {
  const names = outputs.map((name) => resolveNode(whole, name));
  // Aliases may name nodes that are left out; the features do not depend on them.
  const graph = { ...neededGraph(whole, names), aliases: {} };
  const scales = graph.nodes.flatMap(({ name, scale }) => (scale === undefined ? [] : [[name, scale]]));
  return {
    weights: weightsHash(graph, parameters),
    ...(scales.length > 0 && { scales: createHash('sha256').update(JSON.stringify(scales)).digest('hex') }),
  };
}

function weightsHash(graph: Graph, parameters: Compilable['parameters']): string {
  const nodes = graph.nodes.map(({ scale: _, ...node }) => node as GraphNode);
  const hash = createHash('sha256').update(serializeGraph({ ...graph, nodes }));
  for (const key of [...parameterShapes(graph).keys()].sort()) {
    const parameter = parameters.get(key);
    hash.update(`\0${key}\0`);
    if (!parameter) continue;
    const data = readValues(parameter);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

export function transformFacts({ resizeSize, cropSize, mean, std, decode }: ClassificationTransform): object {
  return { resizeSize, cropSize, mean, std, decode };
}

/** `the weights differ; outputs is ["layer3"] there and ["avgpool"] here`, or nothing when the fingerprints are equal. */
export function differences(there: Fingerprint, here: Fingerprint): string {
  const names = Object.keys({ ...there, ...here }) as (keyof Fingerprint)[];
  const found = names.filter((name) => JSON.stringify(there[name]) !== JSON.stringify(here[name]));
  return found
    .map((name) => HASHES[name] ?? `${name} is ${facts(there[name])} there and ${facts(here[name])} here`)
    .join('; ');
}

const HASHES: Partial<Record<keyof Fingerprint, string>> = {
  weights: 'the weights differ',
  scales:
    'the scales of int8 differ: calibrate with the same images, or give weights that `resnet-native quantize` wrote',
};

function facts(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}
