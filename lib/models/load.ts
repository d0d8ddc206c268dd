import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ResNetError, WeightsFormatError } from '../errors.js';
import { fileError } from '../file-error.js';
import { resolveNode } from '../graph/names.js';
import { neededGraph } from '../graph/needed.js';
import { checkOptions, invalid, show } from '../is.js';
import { adoptStateDict } from '../weights/load.js';
import { readForModel, withWeightsFile } from '../weights/read.js';
import type { WeightsFile } from '../weights/weights-file.js';
import { buildArchitecture, type ResNetArchitecture } from './architecture.js';
import { GraphModel } from './graph-model.js';
import { inferArchitecture } from './infer.js';
import { type ModelMetadata, parseMetadata } from './metadata.js';
import type { Model } from './model.js';

/** What neither metadata nor shapes of a file tell. */
type Untold = Pick<ResNetArchitecture, 'shortcut' | 'replaceStrideWithDilation'>;

export interface LoadModelOptions extends Untold {
  /**
   * Nodes or modules behind which the model is to end, such as `['layer2']`: what only later layers need is neither read
   * from the file nor kept, and there are no logits. Default: all of it.
   */
  readonly outputs?: readonly string[] | undefined;
}

const WEIGHTS_FILE = /\.(safetensors|pth|pt|bin)$/;
const PREFERRED_FILE = 'model.safetensors';

/**
 * The network of a weights file, whose architecture comes from the file: from the graph or the architecture in its
 * metadata, else from names and shapes of its tensors, if they are those of a ResNet. The metadata's transform and
 * categories become the model's. Large tensors are read when they are needed, as by `loadStateDict`.
 * @param fileOrFolder the path of a file, or of a folder that holds one weights file or `model.safetensors`.
 * @param options `shortcut` and `replaceStrideWithDilation` are for files without metadata: shortcuts that have no
 * parameters, and dilation, cannot be seen.
 * @throws ResNetError `FILE`, `WEIGHTS_FORMAT`, `STATE_DICT_MISMATCH`, `UNSUPPORTED` where the tensors tell no
 * architecture, `INVALID_ARGUMENT` for options where the file says all itself, `UNKNOWN_NODE` for an output.
 */
export async function loadModel(fileOrFolder: string, options: LoadModelOptions = {}): Promise<Model> {
  if (typeof fileOrFolder !== 'string' || fileOrFolder === '') throw invalid('path', 'a path', fileOrFolder);
  checkOptions('loadModel', options, ['shortcut', 'replaceStrideWithDilation', 'outputs']);
  const { outputs, ...untold } = options;
  const path = await weightsFileIn(fileOrFolder);
  return withWeightsFile(path, async (file) => {
    const told = parseMetadata(file.metadata);
    const whole = buildTold(told, file, untold);
    const model = outputs ? endingWith(whole, outputs) : whole;
    // A graph names what it needs. A file has more where a module had some that its forward does not use.
    const names = model instanceof GraphModel ? model.parameters : file.tensors;
    adoptStateDict(model, await readForModel(file, new Set(names.keys())), { path });
    model.transform = told.transform ?? model.transform;
    model.categories = checkCategories(told.categories, whole);
    return model;
  });
}

/** The network that a file describes, else the one that its tensors look like. */
function buildTold({ graph, architecture }: ModelMetadata, { tensors }: WeightsFile, untold: Untold): Model {
  if (!graph && !architecture) {
    return buildArchitecture({ ...inferArchitecture(tensors, untold.shortcut), ...untold });
  }
  if (Object.keys(untold).length > 0) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      'The file says its own architecture: leave shortcut and replaceStrideWithDilation out',
    );
  }
  return graph ? new GraphModel(graph) : buildDescribed(architecture as ResNetArchitecture);
}

/** The part of a network that some of its nodes need. */
function endingWith({ graph }: Model, outputs: readonly string[]): Model {
  if (!Array.isArray(outputs) || outputs.length === 0) {
    throw invalid('outputs', 'an array of at least one node name', outputs);
  }
  const nodes = outputs.map((name) => resolveNode(graph, name));
  return new GraphModel(neededGraph(graph, nodes));
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

function buildDescribed(architecture: ResNetArchitecture): Model {
  try {
    return buildArchitecture(architecture);
  } catch (error) {
    if (!(error instanceof ResNetError)) throw error;
    throw new WeightsFormatError(`it describes a network that cannot be built: ${error.message}`, {
      cause: error,
    });
  }
}

/** As many categories as logits, where the network ends in a linear layer. */
function checkCategories(
  categories: ModelMetadata['categories'],
  { graph }: Model,
): ModelMetadata['categories'] {
  const last = graph.nodes.find((node) => node.name === resolveNode(graph, 'logits'));
  if (!categories || last?.op !== 'linear' || last.outFeatures === categories.length) return categories;
  throw new WeightsFormatError(
    `its metadata has ${categories.length} categories for ${last.outFeatures} logits`,
  );
}
