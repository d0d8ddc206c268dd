import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { resolveNode } from '../graph/names.js';
import { neededGraph } from '../graph/needed.js';
import { parameterShapes } from '../graph/parameters.js';
import { serializeGraph } from '../graph/serialize.js';
import type { Compilable } from '../runtime/compilable.js';
import type { ClassificationTransform } from '../transforms/index.js';
import type { FeatureFormat, StoredDType } from './sinks/sink.js';

/** What features depend on: two runs with equal fingerprints give features that belong together. */
export interface Fingerprint {
  /** SHA-256 of the graph and of the parameters, as far as the outputs need them. */
  readonly weights: string;
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

/** SHA-256 of the part of a network that `outputs` depend on: its graph, and every parameter that it reads. */
export function weightsHash({ graph: whole, parameters }: Compilable, outputs: readonly string[]): string {
  const names = outputs.map((name) => resolveNode(whole, name));
  // Aliases may name nodes that are left out; the features do not depend on them.
  const graph = { ...neededGraph(whole, names), aliases: {} };
  const hash = createHash('sha256').update(serializeGraph(graph));
  for (const key of [...parameterShapes(graph).keys()].sort()) {
    const data = parameters.get(key)?.data;
    hash.update(`\0${key}\0`);
    if (data) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

export function transformFacts({ resizeSize, cropSize, mean, std, decode }: ClassificationTransform): object {
  return { resizeSize, cropSize, mean, std, decode };
}

/** `weights differ; outputs are ["layer3"] there and ["avgpool"] here`, or nothing when the fingerprints are equal. */
export function differences(there: Fingerprint, here: Fingerprint): string {
  const names = Object.keys(here) as (keyof Fingerprint)[];
  const found = names.filter((name) => JSON.stringify(there[name]) !== JSON.stringify(here[name]));
  return found
    .map((name) =>
      name === 'weights'
        ? 'the weights differ'
        : `${name} is ${JSON.stringify(there[name])} there and ${JSON.stringify(here[name])} here`,
    )
    .join('; ');
}
