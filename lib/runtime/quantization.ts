import { setImmediate } from 'node:timers/promises';
import { ResNetError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { resolveNode } from '../graph/names.js';
import type { ParameterValues } from '../graph/parameters.js';
import { type QuantizedNetwork, quantizeNetwork, type Scales } from '../graph/quantize.js';
import { checkOneOf, checkOptions, invalid } from '../is.js';
import { Tensor } from '../tensor.js';
import { checkBatch } from './batch-input.js';
import type { Compilable } from './compilable.js';
import { graphParameters } from './graph-parameters.js';
import { type NativeCalibration, native } from './native.js';
import { inputOf, normalizedGraph } from './normalized-graph.js';

/** Batches of images as `run` takes them: uint8 [n, h, w, c], or float32, already normalised. */
export type CalibrationImages = Tensor | readonly Tensor[] | AsyncIterable<Tensor>;

const METHODS = ['minmax', 'percentile', 'mse'] as const;
const PRECISIONS = ['int8', 'float32'] as const;

export interface QuantizationOptions {
  /**
   * How the range of each value is found in what the calibration images show: the largest magnitude (`minmax`), all but
   * the largest few (`percentile`), or what gives the least squared error (`mse`, the default).
   */
  readonly method?: (typeof METHODS)[number] | undefined;
  /** Of its method: per cent of the magnitudes that are not cut off. Above 0, at most 100; default 99.99. */
  readonly percentile?: number | undefined;
  /** What the layers that read the images compute in. Default `int8`. */
  readonly firstLayer?: (typeof PRECISIONS)[number] | undefined;
  /** What the layer that gives the logits computes in. Default `int8`. */
  readonly lastLayer?: (typeof PRECISIONS)[number] | undefined;
}

/** @throws ResNetError `INVALID_ARGUMENT`. */
export function checkQuantizationOptions(options: unknown): void {
  checkOptions('quantization', options as QuantizationOptions, [
    'method',
    'percentile',
    'firstLayer',
    'lastLayer',
  ]);
  const { method, percentile, firstLayer, lastLayer } = options as QuantizationOptions;
  if (method !== undefined) checkOneOf('method', method, METHODS);
  if (firstLayer !== undefined) checkOneOf('firstLayer', firstLayer, PRECISIONS);
  if (lastLayer !== undefined) checkOneOf('lastLayer', lastLayer, PRECISIONS);
  if (percentile !== undefined && !(percentile > 0 && percentile <= 100)) {
    throw invalid('percentile', 'a number above 0 and at most 100', percentile);
  }
}

/** @throws ResNetError `INVALID_ARGUMENT` for what cannot be images. Each is looked at when its turn comes. */
export function checkCalibrationImages(images: unknown): void {
  const good =
    images instanceof Tensor ||
    Array.isArray(images) ||
    (typeof images === 'object' && images !== null && Symbol.asyncIterator in images);
  if (!good) throw invalid('calibration', 'a Tensor, an array of them or an async iterable', images);
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
 * @throws ResNetError `INVALID_ARGUMENT` for no images, or NaN in them or in the weights; `INVALID_SHAPE`.
 */
export async function quantize(
  model: Compilable,
  images: CalibrationImages,
  options: QuantizationOptions,
  { device = 'cpu', threads = 0, onImages = () => {} }: CalibrationRun = {},
): Promise<Compilable> {
  const { graph, parameters, transform } = model;
  const normalized = normalizedGraph(graph, transform);
  const needed = await graphParameters(parameters, graph);
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
  const network = await withScales(graph, needed, scales, options, () => setImmediate());
  return { ...model, ...network };
}

/** The scales that a network's values have in int8. */
async function collectScales(
  calibration: NativeCalibration,
  images: CalibrationImages,
  channels: number,
  { method = 'mse', percentile = 99.99 }: QuantizationOptions,
  onImages: (seen: number) => void,
): Promise<Scales> {
  let seen = 0;
  for await (const batch of images instanceof Tensor ? [images] : images) {
    const input = checkCalibrationBatch(batch, channels, seen);
    await calibration.collect(input);
    seen += input.n;
    onImages(seen);
  }
  if (seen === 0) {
    throw new ResNetError(
      'INVALID_ARGUMENT',
      'Calibration needs at least one image, and there are none: give pictures like those that the network will see',
    );
  }
  return calibration.scales(method, percentile);
}

function checkCalibrationBatch(batch: Tensor, channels: number, seen: number) {
  try {
    return checkBatch(batch, { channels, maxBatch: Number.MAX_SAFE_INTEGER });
  } catch (error) {
    if (!(error instanceof ResNetError)) throw error;
    throw new ResNetError(error.code, `The calibration images behind the first ${seen}: ${error.message}`);
  }
}

/** The network with these scales and int8 weights, but for the layers that are to stay float32. */
function withScales(
  graph: Graph,
  parameters: ReadonlyMap<string, ParameterValues>,
  scales: Scales,
  { firstLayer = 'int8', lastLayer = 'int8' }: QuantizationOptions,
  pause: () => Promise<void>,
): Promise<QuantizedNetwork> {
  const input = graph.nodes[0]?.name as string;
  const logits = resolveNode(graph, 'logits');
  const isKept = (name: string, inputs: readonly string[]) =>
    (firstLayer === 'float32' && inputs.includes(input)) || (lastLayer === 'float32' && name === logits);
  const kept = graph.nodes.filter(({ name, inputs }) => isKept(name, inputs)).map(({ name }) => name);
  return quantizeNetwork(graph, parameters, scales, { keep: new Set(kept), pause });
}
