import type { Graph } from '../graph/graph.js';
import {
  integer,
  listOf,
  oneOf,
  optional,
  readJson,
  readNumber,
  readObject,
  unexpected,
} from '../graph/readers.js';
import { parseGraph } from '../graph/serialize.js';
import { type ImageTransform, MAX_SIZE } from '../transforms/image-transform.js';
import { parseArchitecture, type ResNetArchitecture } from './architecture.js';

/** What a weights file's metadata says of its network; each part may be absent. `saveSafetensors` writes it. */
export interface ModelMetadata {
  readonly graph: Graph | undefined;
  readonly architecture: ResNetArchitecture | undefined;
  readonly transform: ImageTransform | undefined;
  readonly categories: readonly string[] | undefined;
}

const readSize = integer(1, MAX_SIZE);

/**
 * Reads the fields `graph`, `architecture`, `transform` and `categories`, each JSON text; others are let be.
 * @throws WeightsFormatError
 */
export function parseMetadata(metadata: Readonly<Record<string, string>>): ModelMetadata {
  const field = <T>(name: string, parse: (text: string) => T): T | undefined =>
    Object.hasOwn(metadata, name) ? parse(metadata[name] as string) : undefined;
  return {
    graph: field('graph', parseGraph),
    architecture: field('architecture', parseArchitecture),
    transform: field('transform', parseTransform),
    categories: field('categories', parseCategories),
  };
}

function parseTransform(text: string): ImageTransform {
  const fields = ['resizeSize', 'cropSize', 'mean', 'std', 'interpolation'];
  const raw = readObject(readJson(text, 'the transform'), 'the transform', fields);
  optional(oneOf(['bilinear']))(raw.interpolation, 'interpolation of the transform');
  const mean = listOf(readNumber)(raw.mean, 'mean of the transform');
  const std = listOf(readNumber)(raw.std, 'std of the transform');
  if (std.length !== mean.length || std.some((value) => value <= 0)) {
    throw unexpected('std of the transform', `${mean.length} numbers above 0`, raw.std);
  }
  return {
    resizeSize: readSize(raw.resizeSize, 'resizeSize of the transform'),
    cropSize: readSize(raw.cropSize, 'cropSize of the transform'),
    mean,
    std,
  };
}

function parseCategories(text: string): readonly string[] {
  return listOf(readCategory)(readJson(text, 'categories'), 'categories');
}

function readCategory(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw unexpected(`one of the ${what}`, 'a string', value);
}
