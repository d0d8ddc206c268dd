// The engines of bench/extract, ours first: how each is started, in which dtypes it runs, and why one is left out.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { ownVersion, versionOf } from '../../dist/bench/versions.js';

const PEERS_FOLDER = join(import.meta.dirname, '..', 'peers');
const OWN = 'resnet-native';

function node(engine) {
  const args = [join(import.meta.dirname, 'engine.mjs'), engine, PEERS_FOLDER];
  return { engine, file: process.execPath, args };
}

function installed(name) {
  return versionOf(createRequire(join(PEERS_FOLDER, 'package.json')).resolve(name));
}

/**
 * @param {{ python?: string, workers: readonly number[] }} options `workers`: of torch's DataLoader, an engine for each
 * number of them.
 */
function allEngines({ python, workers }) {
  const torch = (count) => ({
    name: `torch.compile + DataLoader (workers: ${count})`,
    command: { engine: 'torch', file: python, args: [join(PEERS_FOLDER, 'torch_extract.py')] },
    settings: { workers: count },
    needsPython: true,
    dtypes: ['float32', 'bfloat16'],
  });
  return [
    {
      name: OWN,
      command: node('resnet-native'),
      version: ownVersion,
      dtypes: ['float32', 'bfloat16', 'int8'],
    },
    ...workers.map(torch),
    {
      name: 'sharp + onnxruntime-node',
      command: node('sharp-onnxruntime'),
      version: () => installed('onnxruntime-node'),
      dtypes: ['float32', 'int8'],
    },
    {
      name: 'transformers.js',
      command: node('transformers'),
      version: () => installed('@huggingface/transformers'),
      needsPython: true,
      dtypes: ['float32'],
    },
  ];
}

/**
 * What is measured beside each other in a dtype: ours, and every peer both in that dtype, if it has it, and in float32.
 * @returns the engines with their dtypes, and those that are left out with the reason.
 */
export function contendersIn(dtype, { python, workers, only }) {
  const [contenders, skipped] = [[], []];
  for (const engine of allEngines({ python, workers })) {
    if (only && !only.includes(engine.name)) continue;
    const reason = whyLeftOut(engine, python);
    if (reason) skipped.push({ engine: engine.name, reason });
    else for (const each of dtypesOf(engine, dtype)) contenders.push({ ...engine, dtype: each });
  }
  return { contenders, skipped };
}

function dtypesOf({ name, dtypes }, dtype) {
  if (name === OWN) return [dtype];
  return [...new Set([dtype, 'float32'])].filter((each) => dtypes.includes(each));
}

function whyLeftOut({ needsPython, version }, python) {
  if (needsPython && !python)
    return 'it needs Python: point --python at one that has torch, onnx and onnxruntime';
  try {
    version?.();
  } catch {
    return 'npm install --ignore-scripts in bench/peers gets it';
  }
  return undefined;
}
