import { homedir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { ResNetError } from '../errors.js';
import type { Graph, GraphNode, InputNode, NormalizeNode } from '../graph/graph.js';
import { resolveNode } from '../graph/names.js';
import { neededGraph } from '../graph/needed.js';
import { type ParameterValues, parameterShapes } from '../graph/parameters.js';
import { checkInteger, checkOneOf, checkOptions, invalid, show } from '../is.js';
import type { ImageTransform } from '../transforms/image-transform.js';
import { type Compilable, readModel } from './compilable.js';
import { type ChosenDevices, chooseDevices } from './devices.js';
import { native } from './native.js';
import {
  type CalibrationImages,
  checkCalibrationImages,
  checkQuantizationOptions,
  collectScales,
  type QuantizationOptions,
  withScales,
} from './quantization.js';
import { Session, type SessionDescription } from './session.js';

const DTYPES = ['float32', 'tf32', 'float16', 'bfloat16', 'int8'] as const;
const MEMORY = ['auto', 'low'] as const;
const AUTOTUNE = ['off'] as const;

export type ComputeDType = (typeof DTYPES)[number];

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
  /** `off` (the default): a deterministic cost model picks the kernels. */
  readonly autotune?: (typeof AUTOTUNE)[number] | undefined;
  /** `low`: no algorithm that trades memory for speed. Default `auto`. */
  readonly memory?: (typeof MEMORY)[number] | undefined;
  /** How many runs may compute at once on each device. Default: the device's own number, CPU 1 and CUDA 2. */
  readonly contexts?: number | undefined;
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

// Of work on the JavaScript thread before other work gets its turn.
const LONGEST_TURN_MS = 5;
const MAX_BATCH = 65_536;
const MAX_THREADS = 1024;
const MAX_CONTEXTS = 64;

const OPTION_CHECKS: { readonly [Name in keyof CompileOptions]-?: (value: unknown) => unknown } = {
  device: (value) => value, // chooseDevices checks it
  dtype: (value) => checkOneOf('dtype', value, DTYPES),
  maxBatch: (value) => checkInteger('maxBatch', value, 1, MAX_BATCH),
  threads: (value) => checkInteger('threads', value, 1, MAX_THREADS),
  outputs: checkOutputs,
  autotune: (value) => checkOneOf('autotune', value, AUTOTUNE),
  memory: (value) => checkOneOf('memory', value, MEMORY),
  contexts: (value) => checkInteger('contexts', value, 1, MAX_CONTEXTS),
  memoryBudget: (value) => checkInteger('memoryBudget', value, 1),
  calibration: checkCalibrationImages,
  quantization: checkQuantizationOptions,
};

export const COMPILE_OPTIONS: readonly string[] = Object.keys(OPTION_CHECKS);

/**
 * Compiles a model for a device. Weights that the outputs need are read now: later changes to the model do not reach
 * the session.
 * @throws ResNetError `INVALID_ARGUMENT`, `UNKNOWN_NODE`, `UNSUPPORTED` (a dtype that the device lacks),
 * `DEVICE_UNAVAILABLE`, `OUT_OF_MEMORY`; `INVALID_SHAPE` for calibration images of other channels.
 */
export async function compileModel(model: Compilable, options: CompileOptions = {}): Promise<Session> {
  checkCompileOptions(options);
  const {
    dtype = 'float32',
    maxBatch = 32,
    threads = 0,
    memory = 'auto',
    contexts = 0,
    memoryBudget = 0,
  } = options;
  const chosen = await chooseDevices(options.device ?? 'auto');
  checkDType(chosen, dtype);
  const ids = chosen.devices.map(({ id }) => id);

  const computed = await computable(readModel(model), ids[0] as string, options);
  const { graph: whole, parameters, transform } = computed;
  const asked = [...new Set(options.outputs ?? ['logits'])].map(
    (name) => [name, resolveNode(whole, name)] as const,
  );
  const outputs = [...new Set(asked.map(([, node]) => node))];
  const graph = neededGraph(whole, outputs);
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
  const needed = parametersOf(parameters, graph);
  await initialize(needed);
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
      contexts,
      ...imageSize(transform),
      memoryBudget,
      cacheFolder: cudaCacheFolder(),
      description: JSON.stringify(description),
    },
  );
  return new Session(compiled);
}

/** The network that is compiled: with calibration images, the one quantised by them. */
async function computable(
  model: Compilable,
  device: string,
  { dtype, threads, calibration, quantization = {} }: CompileOptions,
): Promise<Compilable> {
  if (dtype !== 'int8') {
    if (calibration === undefined) return model;
    throw new ResNetError('INVALID_ARGUMENT', "calibration is for dtype 'int8'");
  }
  if (calibration !== undefined) return quantize(model, calibration, quantization, { device, threads });
  if (model.graph.nodes.some(({ scale }) => scale !== undefined)) return model;
  throw new ResNetError(
    'INVALID_ARGUMENT',
    "dtype 'int8' needs to know the ranges of the network's values: give `calibration` images, or quantise the model " +
      'once (quantizeModel, or `resnet-native quantize`) and load that file',
  );
}

export interface CalibrationRun {
  /** Where the float32 network runs. Default `cpu`. */
  readonly device?: string | undefined;
  /** Of the CPU. Default: what the machine grants. */
  readonly threads?: number | undefined;
  /** Told how many images have been seen. */
  readonly onImages?: ((seen: number) => void) | undefined;
}

/**
 * Runs the float32 network over images and gives the same network with scales and int8 weights.
 * @throws what `collectScales` throws.
 */
export async function quantize(
  model: Compilable,
  images: CalibrationImages,
  options: QuantizationOptions,
  { device = 'cpu', threads = 0, onImages = () => {} }: CalibrationRun = {},
): Promise<Compilable> {
  const { graph, parameters, transform } = model;
  const normalized = normalizedGraph(graph, transform);
  const needed = parametersOf(parameters, graph);
  await initialize(needed);
  const outputs = [normalized.rename(resolveNode(graph, 'logits'))];
  const calibration = await native().calibrate(normalized.nodes, outputs, Object.fromEntries(needed), {
    device,
    threads,
  });
  const input = inputOf(graph);
  const found = await collectScales(calibration, images, input.channels, options, onImages);
  // What comes behind the normalisation is the input, as everywhere in the graph.
  const { [normalized.rename(input.name)]: scale, ...others } = found;
  const scales = scale === undefined ? others : { ...others, [input.name]: scale };
  const network = await withScales(graph, new Map(needed), scales, options, () => setImmediate());
  return { ...model, ...network };
}

function normalizedGraph(graph: Graph, transform: Partial<ImageTransform> | undefined) {
  return normalizeInput(graph.nodes, inputOf(graph), normalizeNode(transform, graph));
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

/** `cuda` in the folder `RESNET_NATIVE_HOME`, by default `~/.cache/resnet-native`. */
function cudaCacheFolder(): string {
  return join(process.env.RESNET_NATIVE_HOME || join(homedir(), '.cache', 'resnet-native'), 'cuda');
}

function checkDType({ devices }: ChosenDevices, dtype: ComputeDType): void {
  const device = devices.find((device) => !device.dtypes.includes(dtype));
  if (!device) return;
  throw new ResNetError(
    'UNSUPPORTED',
    `The device "${device.id}" does not compute in ${dtype} here, only in ${device.dtypes.join(', ')}`,
  );
}

function inputOf(graph: Graph): InputNode {
  const input = graph.nodes[0];
  if (input?.op !== 'input') throw invalid('model.graph', 'nodes that begin with the input', input?.op);
  return input;
}

/** What the model's transform does to uint8 input, as a node behind the input. */
function normalizeNode(transform: Partial<ImageTransform> | undefined, graph: Graph): NormalizeNode {
  const { mean, std } = transform ?? {};
  const { channels, name } = inputOf(graph);
  const fits = (values: unknown): values is readonly number[] =>
    Array.isArray(values) && values.length === channels && values.every(Number.isFinite);
  if (!fits(mean) || !fits(std) || std.includes(0)) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      `Expected the transform to have mean and std (not 0) for each of ${channels} channels ` +
        `but received mean ${show(mean)} and std ${show(std)}`,
    );
  }
  const names = new Set(graph.nodes.map((node) => node.name));
  let unused = 'normalize';
  while (names.has(unused)) unused += '_';
  const { scale } = inputOf(graph);
  return { op: 'normalize', name: unused, inputs: [name], mean, std, ...(scale !== undefined && { scale }) };
}

/** Puts `normalize` between the input and all who read it, be they nodes or outputs: for torch, that is the input. */
function normalizeInput(nodes: readonly GraphNode[], input: InputNode, normalize: NormalizeNode) {
  const rename = (name: string) => (name === input.name ? normalize.name : name);
  const readers = nodes.slice(1).map((node) => ({ ...node, inputs: node.inputs.map(rename) }));
  return { nodes: [input, normalize, ...readers], rename };
}

/**
 * Has parameters that have no values yet compute them, and lets the event loop turn between them: drawing all of a
 * network's at random takes a second.
 */
async function initialize(parameters: readonly NamedParameter[]): Promise<void> {
  let turn = performance.now();
  for (const [, parameter] of parameters) {
    void parameter.data;
    if (performance.now() - turn < LONGEST_TURN_MS) continue;
    await setImmediate();
    turn = performance.now();
  }
}

type NamedParameter = readonly [key: string, parameter: ParameterValues];

function parametersOf(parameters: Compilable['parameters'], graph: Graph): NamedParameter[] {
  return [...parameterShapes(graph).keys()].map((key) => {
    const parameter = parameters.get(key);
    if (!parameter) throw invalid('model.parameters', `a tensor named ${show(key)}`, 'none');
    return [key, parameter];
  });
}
