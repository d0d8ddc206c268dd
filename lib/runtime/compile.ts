import { homedir } from 'node:os';
import { join } from 'node:path';
import { ResNetError } from '../errors.js';
import { resolveNode } from '../graph/names.js';
import { neededGraph } from '../graph/needed.js';
import { checkInteger, checkOneOf, checkOptions, invalid } from '../is.js';
import type { ImageTransform } from '../transforms/image-transform.js';
import { type Compilable, readModel } from './compilable.js';
import { type ChosenDevices, chooseDevices } from './devices.js';
import { graphParameters } from './graph-parameters.js';
import { native } from './native.js';
import { inputOf, normalizedGraph } from './normalized-graph.js';
import { checkPlan, type PlannedStep, plannedAlgorithms } from './planned-steps.js';
import {
  type CalibrationImages,
  checkCalibrationImages,
  checkQuantizationOptions,
  type QuantizationOptions,
  quantize,
} from './quantization.js';
import { Session, type SessionDescription } from './session.js';

const DTYPES = ['float32', 'tf32', 'float16', 'bfloat16', 'int8'] as const;
export const MEMORY = ['auto', 'low'] as const;
export const AUTOTUNE = ['off', 'quick', 'full'] as const;

export type ComputeDType = (typeof DTYPES)[number];
export type Memory = (typeof MEMORY)[number];
export type Autotune = (typeof AUTOTUNE)[number];

export interface CompileOptions {
  /**
   * `auto` (the default) is CUDA where it works and the CPU otherwise; also `cpu`, `cuda`, `cuda:1`, `reference`. Several
   * GPUs, `['cuda:0', 'cuda:1']`, share the session's runs: each takes the next one when it is free.
   */
  readonly device?: string | readonly string[] | undefined;
  /** What is computed in. Default `float32`. */
  readonly dtype?: ComputeDType | undefined;
  /** The largest batch that runs may have. Default 32. */
  readonly maxBatch?: number | undefined;
  /** Of the CPU. Default: what the machine grants, cgroup limits included. */
  readonly threads?: number | undefined;
  /** Node names or their aliases, which results are keyed by. Default `['logits']`. */
  readonly outputs?: readonly string[] | undefined;
  /**
   * How the CPU's algorithm for each convolution is chosen. `off` (the default): by a deterministic cost model. `quick`
   * and `full` measure at `maxBatch` images of the size that the model's transform makes, 3 and 15 times each; what they
   * find is in `session.plan`, and kept for this machine in `RESNET_NATIVE_HOME` (default `~/.cache/resnet-native`).
   * Another algorithm gives other last bits.
   */
  readonly autotune?: Autotune | undefined;
  /**
   * The `plan` of an earlier session of the same network with the same dtype: its steps have the algorithms that they
   * had there. For the CPU. A step that this session cannot take over is an error; those that its outputs do not need
   * are passed over.
   */
  readonly plan?: readonly PlannedStep[] | undefined;
  /**
   * `low`: no algorithm that trades memory for speed, and on the CPU as few images of a batch at a time as keep activations
   * small beside the weights. Default `auto`.
   */
  readonly memory?: Memory | undefined;
  /** How many runs may compute at once on each device. Default: the device's own number, CPU 1 and CUDA 2. */
  readonly contexts?: number | undefined;
  /**
   * From 0 to 19, on Linux: how far the threads that compute give way to others, the event loop's and those of other
   * processes. Above 0, and from Linux 6.12 on, others that want the processor for a moment also get it at once. Default
   * 0, like all others; a server's models, and tasks on images, have 5.
   */
  readonly niceness?: number | undefined;
  /** The most bytes of device memory that the session may take on each GPU. Default: what there is. */
  readonly memoryBudget?: number | undefined;
  /**
   * For `int8`, images like those that will be run: a few dozen are enough. The float32 network runs over them to find
   * the ranges of its values. Not needed for a model that was quantised before.
   */
  readonly calibration?: CalibrationImages | undefined;
  /** For `calibration`: how ranges are found, and what is kept in float32. */
  readonly quantization?: QuantizationOptions | undefined;
}

const MAX_BATCH = 65_536;
const MAX_THREADS = 1024;
const MAX_CONTEXTS = 64;
const MAX_NICENESS = 19;

/** Of sessions whose process answers others or decodes: the event loop has little to do, but all of them wait for it. */
export const NICENESS_BESIDE_EVENT_LOOP = 5;

const OPTION_CHECKS: { readonly [Name in keyof CompileOptions]-?: (value: unknown) => unknown } = {
  device: (value) => value, // chooseDevices checks it
  dtype: (value) => checkOneOf('dtype', value, DTYPES),
  maxBatch: (value) => checkInteger('maxBatch', value, 1, MAX_BATCH),
  threads: (value) => checkInteger('threads', value, 1, MAX_THREADS),
  outputs: checkOutputs,
  autotune: (value) => checkOneOf('autotune', value, AUTOTUNE),
  plan: checkPlan,
  memory: (value) => checkOneOf('memory', value, MEMORY),
  contexts: (value) => checkInteger('contexts', value, 1, MAX_CONTEXTS),
  niceness: (value) => checkInteger('niceness', value, 0, MAX_NICENESS),
  memoryBudget: (value) => checkInteger('memoryBudget', value, 1),
  calibration: checkCalibrationImages,
  quantization: checkQuantizationOptions,
};

export const COMPILE_OPTIONS: readonly string[] = Object.keys(OPTION_CHECKS);

/**
 * Compiles a model for a device. Weights that the outputs need are read now: later changes to the model do not reach
 * the session.
 * @throws ResNetError `INVALID_ARGUMENT`, `UNKNOWN_NODE`, `UNSUPPORTED` (a dtype that the device lacks, a
 * `plan` where it is not the CPU), `DEVICE_UNAVAILABLE`, `OUT_OF_MEMORY`; `INVALID_SHAPE` for calibration images of other channels.
 */
export async function compileModel(model: Compilable, options: CompileOptions = {}): Promise<Session> {
  checkCompileOptions(options);
  const {
    dtype = 'float32',
    maxBatch = 32,
    threads = 0,
    memory = 'auto',
    autotune = 'off',
    plan = [],
    contexts = 0,
    niceness = 0,
    memoryBudget = 0,
  } = options;
  const chosen = await chosenDevices(options);
  const ids = chosen.devices.map(({ id }) => id);
  const read = readModel(model);
  const asked = nodesAskedFor(read, options);
  const { graph: whole, parameters, transform } = await computable(read, chosen, options);
  const outputs = [...new Set(asked.map(([, node]) => node))];
  const graph = neededGraph(whole, outputs);
  const planned = plannedAlgorithms(plan, ids[0] ?? '', whole, graph);
  const description: SessionDescription = {
    device: ids.join(','),
    deviceReason: chosen.reason,
    dtype,
    maxBatch,
    contexts: (contexts || (ids[0]?.startsWith('cuda') ? 2 : 1)) * ids.length,
    channels: inputOf(graph).channels,
    outputs: asked.map(([name, node]) => [name, outputs.indexOf(node)]),
  };
  const normalized = normalizedGraph(graph, transform);
  const needed = await graphParameters(parameters, graph);
  const compiled = await native().compile(
    normalized.nodes,
    outputs.map(normalized.rename),
    Object.fromEntries(needed),
    {
      devices: ids,
      dtype,
      maxBatch,
      threads,
      memory,
      autotune,
      plan: planned,
      contexts,
      ...imageSize(transform),
      niceness,
      memoryBudget,
      cacheFolder: cacheFolder(ids[0]?.startsWith('cuda') ? 'cuda' : 'cpu'),
      description: JSON.stringify(description),
    },
  );
  return new Session(compiled);
}

/**
 * The network that `compileModel` makes of a model with these options: with `calibration` images, the one quantised by
 * them, which compiles without.
 * @throws as `compileModel`.
 */
export async function networkToCompile(model: Compilable, options: CompileOptions): Promise<Compilable> {
  checkCompileOptions(options);
  const read = readModel(model);
  nodesAskedFor(read, options);
  return computable(read, await chosenDevices(options), options);
}

/** Resolved before calibration, which takes long and leaves the names as they are. */
function nodesAskedFor({ graph }: Compilable, { outputs = ['logits'] }: CompileOptions) {
  return [...new Set(outputs)].map((name) => [name, resolveNode(graph, name)] as const);
}

async function computable(
  model: Compilable,
  { devices }: ChosenDevices,
  { dtype, threads, calibration, quantization = {} }: CompileOptions,
): Promise<Compilable> {
  if (dtype !== 'int8') {
    if (calibration === undefined) return model;
    throw new ResNetError('INVALID_ARGUMENT', "calibration is for dtype 'int8'");
  }
  if (calibration !== undefined) {
    return quantize(model, calibration, quantization, { device: devices[0]?.id, threads });
  }
  if (model.graph.nodes.some(({ scale }) => scale !== undefined)) return model;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    "dtype 'int8' needs to know the ranges of the network's values: give `calibration` images (`extract` has the option " +
      '--calibration), or quantise the model once (quantizeModel, or `resnet-native quantize`) and load that file',
  );
}

function checkCompileOptions(options: CompileOptions): void {
  checkOptions('compile', options, COMPILE_OPTIONS);
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) OPTION_CHECKS[name as keyof CompileOptions](value);
  }
}

function checkOutputs(outputs: unknown): void {
  if (!Array.isArray(outputs) || outputs.length === 0) {
    throw invalid('outputs', 'an array of at least one node name', outputs);
  }
}

/** What the model's own transform makes, where it makes one size. */
function imageSize(transform: Partial<ImageTransform> | undefined): { height: number; width: number } {
  const { cropSize } = transform ?? {};
  const size = Number.isSafeInteger(cropSize) && Number(cropSize) > 0 ? Number(cropSize) : 0;
  return { height: size, width: size };
}

/** Where a kind of device keeps what it measured, in the folder `RESNET_NATIVE_HOME`. */
function cacheFolder(kind: string): string {
  return join(process.env.RESNET_NATIVE_HOME || join(homedir(), '.cache', 'resnet-native'), kind);
}

/** @throws ResNetError `DEVICE_UNAVAILABLE`, and `UNSUPPORTED` for a dtype that one of them lacks. */
async function chosenDevices({ device, dtype = 'float32' }: CompileOptions): Promise<ChosenDevices> {
  const chosen = await chooseDevices(device ?? 'auto');
  const lacking = chosen.devices.find(({ dtypes }) => !dtypes.includes(dtype));
  if (!lacking) return chosen;
  throw new ResNetError(
    'UNSUPPORTED',
    `The device "${lacking.id}" does not compute in ${dtype} here, only in ${lacking.dtypes.join(', ')}: give one of these as dtype`,
  );
}
