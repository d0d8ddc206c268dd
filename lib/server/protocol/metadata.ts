import { resolveNode } from '../../graph/names.js';
import { outputShape, type ValueShape } from '../../graph/shapes.js';
import type { Timing } from '../../runtime/batch-stats.js';
import type { ServedModel } from '../served-model.js';

// What the Open Inference Protocol tells of a model, and Triton's extensions of it (configuration, statistics).

export const PLATFORM = 'resnet_native';
export const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_configuration',
  'model_repository',
  'statistics',
] as const;

export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  /** -1: any. */
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export function modelMetadata(model: ServedModel): ModelMetadata {
  const { name, version, session } = model;
  const { channels } = session;
  return {
    name,
    versions: [version],
    platform: PLATFORM,
    inputs: [
      { name: 'input', datatype: 'FP32', shape: [-1, channels, -1, -1] },
      { name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, channels] },
    ],
    outputs: outputMetadata(model),
  };
}

function outputMetadata({ graph, session }: ServedModel): TensorMetadata[] {
  const shapes = new Map<string, ValueShape>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => shapes.get(input) as ValueShape);
    shapes.set(node.name, outputShape(node, inputs));
  }
  return session.outputs.map((name) => {
    const shape = shapes.get(resolveNode(graph, name)) as ValueShape;
    return { name, datatype: 'FP32', shape: dimsOf(shape) };
  });
}

function dimsOf(shape: ValueShape): number[] {
  if (shape.kind === 'rows') return [-1, shape.features ?? -1];
  return shape.pixel ? [-1, shape.channels, 1, 1] : [-1, shape.channels, -1, -1];
}

/** Triton's model configuration, as far as it says something here. */
export function modelConfig(model: ServedModel) {
  const { inputs, outputs } = modelMetadata(model);
  const tensor = ({ name, datatype, shape }: TensorMetadata) => ({
    name,
    data_type: `TYPE_${datatype}`,
    dims: shape.slice(1),
  });
  return {
    name: model.name,
    platform: PLATFORM,
    backend: PLATFORM,
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: model.batcher.maxBatch,
    // Exactly one of the inputs is given, so each is optional.
    input: inputs.map((input) => ({ ...tensor(input), optional: true })),
    output: outputs.map((output, i) => ({
      ...tensor(output),
      ...(outputs[i]?.name === 'logits' && model.labels && { label_filename: 'labels' }),
    })),
    dynamic_batching: {
      max_queue_delay_microseconds: Math.round(model.maxDelayMs * 1000),
      default_queue_policy: { max_queue_size: model.batcher.maxQueue },
    },
  };
}

interface Duration {
  readonly count: number;
  /** Nanoseconds. */
  readonly ns: number;
}

const duration = (count: number, ms: number): Duration => ({ count, ns: Math.round(ms * 1e6) });
const NO_TIME = duration(0, 0);
const ofTiming = ({ count, totalMs }: Timing) => duration(count, totalMs);

/** Triton's statistics of a model since it was loaded. */
export function modelStats({ name, version, requests, batcher }: ServedModel) {
  const { queueTime, requestComputeTime, rows, batches, batchSizes } = batcher.stats();
  return {
    name,
    version,
    last_inference: requests.lastInference,
    inference_count: rows,
    execution_count: batches,
    inference_stats: {
      success: duration(requests.succeeded, requests.succeededMs),
      fail: duration(requests.failed, requests.failedMs),
      queue: ofTiming(queueTime),
      compute_input: NO_TIME,
      // As Triton counts it: the time of a batch for each of its requests.
      compute_infer: ofTiming(requestComputeTime),
      compute_output: NO_TIME,
      cache_hit: NO_TIME,
      cache_miss: NO_TIME,
    },
    batch_stats: [...batchSizes]
      .sort(([a], [b]) => a - b)
      .map(([batch_size, timing]) => ({
        batch_size,
        compute_input: NO_TIME,
        compute_infer: ofTiming(timing),
        compute_output: NO_TIME,
      })),
  };
}
