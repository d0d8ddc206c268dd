import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileError } from '../file-error.js';
import { getModel, getModelWeights, listModels } from '../models/builders.js';
import { loadModel } from '../models/load.js';
import { parseMetadata } from '../models/metadata.js';
import type { Model } from '../models/model.js';
import { getWeight, WEIGHTS_ENUMS, type WeightsEntry } from '../models/weights-entries.js';
import { loadStateDict } from '../weights/load.js';
import { readMetadata } from '../weights/read.js';
import type { ModelOptions } from './model-options.js';
import { Progress } from './progress.js';
import { wrongUsage } from './usage.js';

export const SHIPPED_MODEL = fileURLToPath(
  new URL('../../models/digits-resnet20.safetensors', import.meta.url),
);

/**
 * The model that the command line asks for. Without --arch and --weights it is the shipped one, and stderr is told so.
 * @param outputs all nodes that will be asked for, if they are known: of a file that says what network it is of, what
 * lies behind them is not read.
 * @throws ResNetError `INVALID_ARGUMENT` for options that make no sense together, and what loading throws.
 */
export async function chooseModel(
  { arch, weights, numClasses }: ModelOptions,
  outputs?: readonly string[],
): Promise<Model> {
  if (numClasses !== undefined && arch === undefined) throw wrongUsage('--num-classes goes with --arch');
  if (weights === undefined) {
    if (arch !== undefined) throw wrongUsage(`--arch needs --weights: a file, or one of ${entriesOf(arch)}`);
    console.error(`No --weights: using the shipped model of handwritten digits, ${basename(SHIPPED_MODEL)}`);
    return loadModel(SHIPPED_MODEL, { outputs });
  }
  if (isEntryName(weights)) return pretrained(weights, arch, numClasses);
  const model =
    arch === undefined ? await loadModel(weights, { outputs }) : await loadInto(arch, weights, numClasses);
  const entry = entryOfFile(weights);
  if (entry) {
    model.transform = entry.transform;
    model.categories = entry.meta.categories;
  }
  return model;
}

function entriesOf(arch: string): string {
  return Object.keys(getModelWeights(arch)).join(', ');
}

/** `IMAGENET1K_V2`, `DEFAULT` or `ResNet50_Weights.IMAGENET1K_V2`, unless there is a file of that name. */
function isEntryName(weights: string): boolean {
  return /^(\w+_Weights\.\w+|[A-Z][A-Z0-9_]+)$/.test(weights) && !existsSync(weights);
}

async function pretrained(
  name: string,
  arch: string | undefined,
  numClasses: number | undefined,
): Promise<Model> {
  const progress = new Progress('MB');
  const report = (received: number, total: number | undefined) => {
    if (total !== undefined) progress.update(received / 1e6, total / 1e6);
  };
  try {
    return await getModel(arch ?? archOfEntry(name), {
      ...given(numClasses),
      weights: name,
      progress: report,
    });
  } finally {
    progress.clear();
  }
}

function archOfEntry(name: string): string {
  if (!name.includes('.')) throw wrongUsage(`--weights ${name} needs --arch, to say what has such weights`);
  const { enumName } = getWeight(name);
  return listModels().find((arch) => getModelWeights(arch).DEFAULT.enumName === enumName) as string;
}

function given(numClasses: number | undefined): { numClasses?: number } {
  return numClasses === undefined ? {} : { numClasses };
}

/** The architecture with a file's weights, and with the transform and the class names that the file brings. */
async function loadInto(arch: string, file: string, numClasses: number | undefined): Promise<Model> {
  const model = await getModel(arch, given(numClasses));
  await loadStateDict(model, file);
  const { transform, categories } = parseMetadata(await readMetadata(file));
  model.transform = transform ?? model.transform;
  model.categories = categories;
  return model;
}

/** The entry of which `file` is the download: torchvision puts a hash of the content in the name. */
function entryOfFile(file: string): WeightsEntry | undefined {
  const entries = Object.values(WEIGHTS_ENUMS).flatMap((weights) => Object.values(weights));
  return entries.find(({ url }) => url.endsWith(`/${basename(file)}`));
}

/**
 * Class names from a file: a JSON array, or one a line.
 * @throws ResNetError `FILE`, `INVALID_ARGUMENT`.
 */
export async function readLabels(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error) => Promise.reject(fileError(file, 'read', error)));
  if (!text.trimStart().startsWith('[')) return text.trimEnd().split(/\r?\n/);
  try {
    return JSON.parse(text) as string[];
  } catch (error) {
    throw wrongUsage(`--labels ${file} begins like a JSON array but is none: ${(error as Error).message}`);
  }
}
