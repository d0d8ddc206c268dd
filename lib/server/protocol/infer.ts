import { MAX_TIMER_MS, show } from '../../is.js';
import type { BatchRunOptions } from '../../runtime/batcher.js';
import type { Results } from '../../runtime/session.js';
import { topK } from '../../tasks/topk.js';
import type { Tensor } from '../../tensor.js';
import { badRequest } from '../request-error.js';
import type { ServedModel } from '../served-model.js';
import { batchOf, type InputTensor } from './tensors.js';

/** An output that was asked for. */
export interface WantedOutput {
  readonly name: string;
  /** Above 0: not the values but the so many largest of each image, as text. */
  readonly classification: number;
}

/** A request of the Open Inference Protocol, whatever way it came. */
export interface InferRequest {
  readonly inputs: readonly InputTensor[];
  /** None: all. */
  readonly outputs: readonly WantedOutput[];
  /** Microseconds, 0 for none. */
  readonly timeout: number;
}

export type InferOptions = Pick<BatchRunOptions, 'signal' | 'onRun'>;

export type OutputTensor = { readonly name: string; readonly shape: readonly number[] } & (
  | { readonly datatype: 'FP32'; readonly data: Float32Array }
  | { readonly datatype: 'BYTES'; readonly data: readonly string[] }
);

/**
 * Answers a request. Outputs are in the order they were asked for, else in the model's. What the request was parsed to is
 * read at once and not held on to: numbers from JSON take many times what they do in the tensor that waits.
 * @throws RequestError 400, at once; and what `Batcher.run` throws.
 */
export function infer(
  model: ServedModel,
  { inputs, outputs, timeout }: InferRequest,
  options: InferOptions,
): Promise<OutputTensor[]> {
  const names = model.session.outputs;
  const wanted = outputs.length > 0 ? outputs : names.map((name) => ({ name, classification: 0 }));
  for (const { name } of wanted) {
    if (names.includes(name)) continue;
    throw badRequest(`There is no output ${show(name)}; ${model.name} gives ${names.join(', ')}`);
  }
  const batch = batchOf(inputs, model);
  const deadlineMs = timeout > 0 ? Math.min(timeout / 1000, MAX_TIMER_MS) : undefined;
  return run(model, batch, wanted, { ...options, deadlineMs });
}

async function run(
  model: ServedModel,
  batch: Tensor,
  wanted: readonly WantedOutput[],
  options: BatchRunOptions,
): Promise<OutputTensor[]> {
  const results = await model.run(batch, options);
  return wanted.map((output) => outputTensor(output, results, model.labels));
}

function outputTensor(
  { name, classification }: WantedOutput,
  results: Results,
  labels: readonly string[] | undefined,
): OutputTensor {
  const { data, shape } = results[name] as Tensor<Float32Array>;
  if (classification === 0) return { name, datatype: 'FP32', shape, data };
  const rows = shape[0] as number;
  const size = data.length / rows;
  const texts = Array.from({ length: rows }, (_, row) =>
    classify(
      data.subarray(row * size, (row + 1) * size),
      classification,
      name === 'logits' ? labels : undefined,
    ),
  );
  const k = Math.min(classification, size);
  return { name, datatype: 'BYTES', shape: [rows, k], data: texts.flat() };
}

/** `value:index`, and `:label` where there are labels, of the `k` largest values. */
function classify(values: Float32Array, k: number, labels: readonly string[] | undefined): string[] {
  return topK(values, k).map((index) => {
    const text = `${(values[index] as number).toFixed(6)}:${index}`;
    return labels?.[index] === undefined ? text : `${text}:${labels[index]}`;
  });
}
