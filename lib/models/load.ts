import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ResNetError, WeightsFormatError } from '../errors.js';
import { resolveNode } from '../graph/names.js';
import { checkOptions, invalid, show } from '../is.js';
import { adoptStateDict } from '../weights/load.js';
import { readWeightsFile } from '../weights/read.js';
import type { Metadata } from '../weights/safetensors.js';
import { fileError } from '../weights/source.js';
import type { StateDict } from '../weights/state-dict.js';
import { buildArchitecture, type ResNetArchitecture } from './architecture.js';
import { GraphModel } from './graph-model.js';
import { inferArchitecture } from './infer.js';
import { type ModelMetadata, parseMetadata } from './metadata.js';
import type { Model } from './model.js';

/** What neither metadata nor shapes of a file tell. */
export type LoadModelOptions = Pick<ResNetArchitecture, 'shortcut' | 'replaceStrideWithDilation'>;

const WEIGHTS_FILE = /\.(safetensors|pth|pt|bin)$/;
const PREFERRED_FILE = 'model.safetensors';

/**
 * The network of a weights file, whose architecture comes from the file: from the graph or the architecture in its
 * metadata, else from names and shapes of its tensors, if they are those of a ResNet. The metadata's transform and
 * categories become the model's.
 * @param path of a file, or of a folder that holds one weights file or `model.safetensors`.
 * @param options for files without metadata: shortcuts that have no parameters, and dilation, cannot be seen.
 * @throws ResNetError `FILE`, `WEIGHTS_FORMAT`, `STATE_DICT_MISMATCH`, `UNSUPPORTED` where the tensors tell no
 * architecture, `INVALID_ARGUMENT` for options where the file says all itself.
 */
export async function loadModel(path: string, options: LoadModelOptions = {}): Promise<Model> {
  if (typeof path !== 'string' || path === '') throw invalid('path', 'a path', path);
  checkOptions('loadModel', options, ['shortcut', 'replaceStrideWithDilation']);
  const file = await weightsFileIn(path);
  const { state, metadata } = await readWeightsFile(file);
  const { graph, architecture, transform, categories } = parsedMetadata(metadata, file);
  if ((graph ?? architecture) && Object.keys(options).length > 0) {
    throw new ResNetError('INVALID_ARGUMENT', `${file} says its own architecture: leave the options out`);
  }
  const model = graph
    ? new GraphModel(graph)
    : architecture
      ? buildDescribed(architecture, file)
      : buildArchitecture({ ...inferArchitecture(state, options.shortcut), ...options });
  adoptStateDict(model, graph ? namedBy(model, state) : state, { path: file });
  model.transform = transform ?? model.transform;
  model.categories = checkCategories(categories, model, file);
  return model;
}

async function weightsFileIn(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isDirectory()) return path;
    const files = (await readdir(path)).filter((name) => WEIGHTS_FILE.test(name)).sort();
    const file = files.length === 1 ? files[0] : files.find((name) => name === PREFERRED_FILE);
    if (file !== undefined) return join(path, file);
    const found = files.length > 0 ? `${files.length} of them: ${files.map(show).join(', ')}` : 'none';
    throw new ResNetError(
      'FILE',
      `Expected one weights file (.safetensors, .pth, .pt, .bin) in the folder ${path} but there are ${found}`,
    );
  } catch (error) {
    throw fileError(path, 'read', error);
  }
}

function parsedMetadata(metadata: Metadata, file: string): ModelMetadata {
  try {
    return parseMetadata(metadata);
  } catch (error) {
    if (!(error instanceof WeightsFormatError)) throw error;
    throw new WeightsFormatError(`${file}: ${error.message}`, { cause: error });
  }
}

function buildDescribed(architecture: ResNetArchitecture, file: string): Model {
  try {
    return buildArchitecture(architecture);
  } catch (error) {
    if (!(error instanceof ResNetError)) throw error;
    throw new WeightsFormatError(`${file} describes a network that cannot be built: ${error.message}`, {
      cause: error,
    });
  }
}

/** The tensors that the graph names. A file has more where a module had some that its forward does not use. */
function namedBy(model: Model, state: StateDict): StateDict {
  return new Map([...state].filter(([key]) => model.parameters.has(key)));
}

/** As many categories as logits, where the network ends in a linear layer. */
function checkCategories(
  categories: ModelMetadata['categories'],
  { graph }: Model,
  file: string,
): ModelMetadata['categories'] {
  const last = graph.nodes.find((node) => node.name === resolveNode(graph, 'logits'));
  if (!categories || last?.op !== 'linear' || last.outFeatures === categories.length) return categories;
  throw new WeightsFormatError(
    `${file}: its metadata has ${categories.length} categories for ${last.outFeatures} logits`,
  );
}
