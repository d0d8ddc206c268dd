import { ResNetError } from '../errors.js';
import type { ParameterDType, StoredValues } from '../graph/parameters.js';
import { checkOptions, invalid } from '../is.js';
import { copyOf, toFloat32, toInt64 } from './convert.js';
import { readForModel, withWeightsFile } from './read.js';
import { checkStateTensor, type StateDict, type StateTensor } from './state-dict.js';

/** A tensor of a model, live: setting `data` sets the model's. */
export interface LoadableTensor {
  readonly dtype: 'float32' | 'int64' | 'int8';
  readonly shape: readonly number[];
  data: Float32Array | BigInt64Array | Int8Array;
  /** Takes values that are still in a file, in the place of data; only where the tensor can have its data so. */
  stored?: StoredValues | undefined;
}

/** What weights are loaded into. */
export interface LoadableModel {
  stateDict(): ReadonlyMap<string, LoadableTensor>;
}

/** What became of every key, in the order of the model and then of the file. */
export interface LoadReport {
  readonly loaded: readonly string[];
  /** Of the model, but not in the file: left as they were. */
  readonly missing: readonly string[];
  /** In the file, but not of the model. */
  readonly unexpected: readonly string[];
  /** In both, with different shapes: left as they were. */
  readonly mismatched: readonly Mismatch[];
}

export interface Mismatch {
  readonly key: string;
  /** The model's shape. */
  readonly expected: readonly number[];
  /** The file's. */
  readonly found: readonly number[];
}

/**
 * Puts the tensors of a file or of a state dict into a model. All dtypes are converted to the model's: float32, and
 * int64 for the counters of batch norms; int8 weights are only loaded into int8. Sessions compiled before keep the weights they were compiled with.
 *
 * Batch norms' `num_batches_tracked` may be absent on either side, as in files of torch before 0.4.1. Of a file the
 * large tensors are read when they are needed, by `compile` or by whoever reads their data: the file stays open, and
 * must not be written to meanwhile (another may take its place). A state dict's data is copied.
 * @param options.strict default true: anything missing, unexpected or of another shape is an error, and then nothing in
 * the model has changed. With false, what fits is loaded and the report tells of the rest.
 * @throws ResNetError `STATE_DICT_MISMATCH`; `FILE`, `WEIGHTS_FORMAT` and `INVALID_ARGUMENT` as `readStateDict`.
 */
export async function loadStateDict(
  model: LoadableModel,
  source: string | Uint8Array | StateDict,
  options: { strict?: boolean } = {},
): Promise<LoadReport> {
  if (typeof model?.stateDict !== 'function') throw invalid('model', 'a model', model);
  checkOptions('loadStateDict', options, ['strict']);
  const { strict = true } = options;
  if (typeof strict !== 'boolean') throw invalid('strict', 'true or false', strict);

  if (!(source instanceof Map)) {
    const path = typeof source === 'string' ? source : 'The file';
    return withWeightsFile(source, async (file) => {
      return adoptStateDict(model, await readForModel(file, new Set(file.tensors.keys())), { strict, path });
    });
  }
  for (const [key, tensor] of source) checkStateTensor(key, tensor);
  return fill(model, source, { strict, path: undefined, copy: true });
}

/**
 * `loadStateDict` of a state dict just read from a file, which nobody else uses: its data is taken over.
 * @param options.path of that file, for the message.
 * @throws ResNetError `STATE_DICT_MISMATCH`.
 */
export function adoptStateDict(
  model: LoadableModel,
  state: StateDict,
  options: { path: string; strict?: boolean },
): LoadReport {
  return fill(model, state, { strict: options.strict ?? true, path: options.path, copy: false });
}

interface FillOptions {
  readonly strict: boolean;
  /** Of the file, if it was one. */
  readonly path: string | undefined;
  /** Whether the model gets arrays of its own. */
  readonly copy: boolean;
}

function fill(model: LoadableModel, state: StateDict, { strict, path, copy }: FillOptions): LoadReport {
  const targets = model.stateDict();
  const report = compare(targets, state);
  if (strict && !fits(report)) throw mismatchError(report, path);
  // All conversions come before the first change: memory may run out on the way.
  const changes = report.loaded.map((key) => {
    const target = targets.get(key) as LoadableTensor;
    const tensor = state.get(key) as StateTensor;
    const { stored } = tensor;
    if (stored && 'stored' in target && dtypeInMemory(stored) === target.dtype) {
      return () => {
        target.stored = stored;
      };
    }
    const data = dataFor(key, target, tensor, copy);
    return () => {
      target.data = data;
    };
  });
  for (const change of changes) change();
  return report;
}

/** Halves are widened wherever they are read. */
function dtypeInMemory({ dtype }: StoredValues): ParameterDType {
  return dtype === 'int8' ? 'int8' : 'float32';
}

function compare(targets: ReadonlyMap<string, LoadableTensor>, state: StateDict): LoadReport {
  const loaded: string[] = [];
  const missing: string[] = [];
  const mismatched: Mismatch[] = [];
  for (const [key, { shape }] of targets) {
    const tensor = state.get(key);
    if (tensor && sameShape(shape, tensor.shape)) loaded.push(key);
    else if (tensor) mismatched.push({ key, expected: shape, found: tensor.shape });
    else if (!isBatchCounter(key)) missing.push(key);
  }
  const unexpected = [...state.keys()].filter((key) => !targets.has(key) && !isBatchCounter(key));
  return { loaded, missing, unexpected, mismatched };
}

/** Counts training batches; of no use to anything here, and younger than the first weights of torchvision. */
function isBatchCounter(key: string): boolean {
  return /(^|\.)num_batches_tracked$/.test(key);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

function dataFor(key: string, target: LoadableTensor, tensor: StateTensor, copy: boolean) {
  if ((target.dtype === 'int8') !== (tensor.dtype === 'int8')) {
    throw new ResNetError(
      'STATE_DICT_MISMATCH',
      `${key}: expected ${target.dtype}, the weights are ${tensor.dtype}. Weights in int8 mean nothing without the ` +
        'graph of their own file: load it with loadModel',
    );
  }
  const convert = (from: StateTensor) => {
    if (target.dtype === 'int8') return from.data as Int8Array;
    return target.dtype === 'int64' ? toInt64(from) : toFloat32(from);
  };
  const data = convert(tensor);
  return copy && data === tensor.data ? convert(copyOf(tensor)) : data;
}

function fits({ missing, unexpected, mismatched }: LoadReport): boolean {
  return missing.length + unexpected.length + mismatched.length === 0;
}

/** A message with more keys than this, or with longer ones, is no longer read. */
const MAX_LISTED = 8;
const MAX_LENGTH = 200;

function mismatchError(report: LoadReport, path: string | undefined): ResNetError {
  const holder = path === undefined ? 'the state dict' : 'the file';
  const mismatched = report.mismatched.map(
    ({ key, expected, found }) =>
      `${key}: expected ${shapeText(expected)}, ${holder} has ${shapeText(found)}`,
  );
  const lines = [
    `${path ?? 'The state dict'} does not fit the model`,
    ...listed(mismatched, '\n  ', ''),
    ...listed(report.missing, ', ', `not in ${holder} (${report.missing.length}): `),
    ...listed(report.unexpected, ', ', `not in the model (${report.unexpected.length}): `),
    'Build the model that the weights are of, or load what fits with { strict: false }',
  ];
  return new ResNetError('STATE_DICT_MISMATCH', lines.join('\n'));
}

/** One entry of lines, or none when there are no items. */
function listed(items: readonly string[], separator: string, title: string): string[] {
  if (items.length === 0) return [];
  const more = items.length - MAX_LISTED;
  const shown = [...items.slice(0, MAX_LISTED).map(shortened), ...(more > 0 ? [`and ${more} more`] : [])];
  return [`  ${title}${shown.join(separator)}`];
}

function shortened(text: string): string {
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}...` : text;
}

function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
