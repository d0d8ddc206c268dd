import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EngineCommand } from './engine-process.js';
import type { CellKey } from './results.js';

// The engines that a benchmark runs, and where they are found. Peers are looked for at run time only.

export const OWN = 'resnet-native';
/** Our own sessions with other options take turns with those that have none, as peers do. */
const OWN_VARIANTS = {
  'autotune-quick': { autotune: 'quick' },
  'autotune-full': { autotune: 'full' },
  'memory-low': { memory: 'low' },
} as const;
export const PEERS = [
  'onnxruntime',
  'openvino',
  'torch',
  'autotune-quick',
  'autotune-full',
  'memory-low',
] as const;

/** What each is measured in. */
const PEER_DTYPES: Readonly<Record<PeerName, readonly string[]>> = {
  onnxruntime: ['float32', 'int8'],
  openvino: ['float32', 'bfloat16', 'int8'],
  torch: ['float32', 'bfloat16'],
  'autotune-quick': ['float32', 'bfloat16', 'int8'],
  'autotune-full': ['float32', 'bfloat16', 'int8'],
  'memory-low': ['float32', 'bfloat16', 'int8'],
};

export type PeerName = (typeof PEERS)[number];

/** An engine that can be started, or why it cannot. */
export type FoundEngine = EngineCommand | { readonly engine: string; readonly reason: string };

const PEERS_FOLDER = fileURLToPath(new URL('../../bench/peers/', import.meta.url));
/** Makes the int8 network of the peers. */
export const QUANTIZE_SCRIPT = join(PEERS_FOLDER, 'quantize.py');
const ONNXRUNTIME_FOLDERS = [PEERS_FOLDER, process.cwd()];

export function ownEngine(): EngineCommand {
  return { engine: OWN, file: process.execPath, args: [besideThis('own-engine.js')] };
}

/**
 * @param python an interpreter that has the peers that are no Node modules; undefined for none.
 * @param folders whose node_modules may hold onnxruntime-node.
 */
export function findPeer(
  name: PeerName,
  python: string | undefined,
  folders: readonly string[] = ONNXRUNTIME_FOLDERS,
): FoundEngine {
  if (name === 'onnxruntime') return findOnnxRuntime(folders);
  if (isOwnVariant(name)) return { ...ownEngine(), engine: name, options: OWN_VARIANTS[name] };
  if (python === undefined)
    return { engine: name, reason: 'it runs in Python: point --python at one that has it' };
  const script = join(PEERS_FOLDER, 'peer.py');
  if (!existsSync(script)) {
    return { engine: name, reason: 'bench/peers/peer.py is missing: run the benchmark from a git checkout' };
  }
  return { engine: name, file: python, args: [script, name] };
}

function findOnnxRuntime(folders: readonly string[]): FoundEngine {
  const engine = 'onnxruntime';
  const path = resolveOnnxRuntime(folders);
  if (path !== undefined) {
    return { engine, file: process.execPath, args: [besideThis('onnxruntime-engine.js'), path] };
  }
  const install = 'npm install --ignore-scripts in bench/peers (or in the folder that you are in) gets it';
  return { engine, reason: `onnxruntime-node is not installed: ${install}` };
}

/** Whether an engine is this package with other options. */
export function isOwnVariant(name: string): name is keyof typeof OWN_VARIANTS {
  return Object.hasOwn(OWN_VARIANTS, name);
}

/** Whether an engine, ours or a peer, loads the ONNX file of a network. */
export function takesOnnx(engine: string): boolean {
  return engine === 'onnxruntime' || engine === 'openvino';
}

/** The path of onnxruntime-node's entry, from the first of the folders that has it. */
export function resolveOnnxRuntime(folders: readonly string[] = ONNXRUNTIME_FOLDERS): string | undefined {
  for (const folder of folders) {
    try {
      return createRequire(join(folder, 'package.json')).resolve('onnxruntime-node');
    } catch {
      // Not from here: the next.
    }
  }
  return undefined;
}

/** Why a peer has nothing to set against a cell; undefined if it has. */
export function whyNotComparable(name: string, { arch, dtype, device }: CellKey): string | undefined {
  if (device !== 'cpu' && device !== 'reference') return `it is measured on the CPU only, not on ${device}`;
  const dtypes = PEER_DTYPES[name as PeerName];
  if (!dtypes.includes(dtype)) return `it is measured in ${dtypes.join(' and ')} only, not in ${dtype}`;
  if (name === 'torch' && arch.startsWith('cifar')) return 'torchvision has no such network';
  return undefined;
}

function besideThis(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
