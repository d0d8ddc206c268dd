import { checkInteger, checkOneOf, invalid } from '../is.js';
import type { Compilable } from '../runtime/compilable.js';
import { networkToCompile } from '../runtime/compile.js';
import type { Results } from '../runtime/session.js';
import { type Entry, readEntry } from '../sources/entry.js';
import { labelsFor } from '../tasks/classifier.js';
import {
  type Batch,
  createImagePath,
  type ImagePath,
  type ImageTaskOptions,
  withTransform,
} from '../tasks/image-path.js';
import { mapOrdered } from '../tasks/pipeline.js';
import { predictionsOf } from '../tasks/predictions.js';
import { Tensor } from '../tensor.js';
import { columnOf, encodeRows, type FeatureSettings } from './features.js';
import { type Fingerprint, networkFacts, packageVersion, transformFacts } from './fingerprint.js';
import type { PartImage } from './part-writer.js';
import {
  type Block,
  type Column,
  type FeatureFormat,
  FORMATS,
  STORED_DTYPES,
  type StoredDType,
} from './sinks/sink.js';
import type { StageClocks } from './stages.js';

/** What is extracted, and how it is stored. */
export interface ExtractionOptions extends Omit<ImageTaskOptions, 'decode' | 'maxBatch'> {
  /** Nodes to extract, by the names of `graphNodeNames` or of modules. Default `['avgpool']`. */
  readonly outputs?: readonly string[] | undefined;
  /** Of the files with the features. Default `npy`. */
  readonly format?: FeatureFormat | undefined;
  /** Of the features in the files. Default `float32`; Parquet takes no other. */
  readonly storeDtype?: StoredDType | undefined;
  /** Averages features with a height and a width over these. Default false. */
  readonly pool?: boolean | undefined;
  /** Brings each image's features to an L2 norm of 1, for search by inner product. Default false. */
  readonly normalize?: boolean | undefined;
  /** Puts this many of the likeliest classes into each line of the index, under `top`. Default 0. */
  readonly topK?: number | undefined;
  /** Class names. Default: those of the model. */
  readonly labels?: readonly string[] | undefined;
  /** Images in a run. Default 32. */
  readonly batch?: number | undefined;
}

/** The options above that compiling knows nothing of. */
const EXTRACTION_KEYS = [
  'outputs',
  'format',
  'storeDtype',
  'pool',
  'normalize',
  'topK',
  'labels',
  'batch',
] as const satisfies readonly (keyof ExtractionOptions)[];

/** Encoded neighbours. */
export interface EncodedBatch {
  readonly images: readonly PartImage[];
  /** The rows of the images without an error, a block a column. */
  readonly blocks: readonly Block[];
}

// A batch that is encoded and the one before, which is being written.
const ENCODES_UNDER_WAY = 2;

/** A model that is compiled to extract, with everything that its features depend on. */
export class Extraction {
  constructor(
    readonly path: ImagePath,
    readonly columns: readonly Column[],
    readonly fingerprint: Fingerprint,
    private readonly labels: readonly string[] | undefined,
  ) {}

  /** From entries to rows as they are stored, in order. */
  encode(
    entries: AsyncIterable<Entry>,
    clocks: StageClocks,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<EncodedBatch, void, undefined> {
    const batches = this.path.batches(entries, { read: readEntry, clocks, signal, onError: 'return' });
    const encode = (batch: Batch<Entry>) =>
      clocks.encode.time(batch.images.length, async () => this.#encodeBatch(batch));
    return mapOrdered(batches, encode, { limit: ENCODES_UNDER_WAY, signal });
  }

  #encodeBatch({ images, results }: Batch<Entry>): EncodedBatch {
    const { pool, normalize, storeDtype } = this.fingerprint;
    let row = 0;
    const named = images.map(({ item: { key }, error }) =>
      error ? { key, error } : { key, ...this.#extra(results, row++) },
    );
    return {
      images: named,
      blocks: row > 0 ? encodeRows(results, this.columns, { pool, normalize, storeDtype }) : [],
    };
  }

  #extra({ logits }: Results, row: number): { extra?: object } {
    const { topK } = this.fingerprint;
    if (topK === 0) return {};
    const { data, shape } = logits as Tensor<Float32Array>;
    const classes = shape[1] as number;
    return {
      extra: { top: predictionsOf(data.subarray(row * classes, (row + 1) * classes), this.labels, topK) },
    };
  }

  close(): Promise<void> {
    return this.path.session.close();
  }
}

/**
 * Compiles `model` up to the last node asked for.
 * @throws ResNetError `INVALID_ARGUMENT`, `UNKNOWN_NODE`, and what compiling throws.
 */
export async function createExtraction(model: Compilable, options: ExtractionOptions): Promise<Extraction> {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object', options);
  const settings = checkedSettings(options);
  const { outputs, topK } = settings;
  const { batch = 32, labels } = options;
  checkInteger('batch', batch, 1);
  const { transform: wanted, ...compileOptions } = withoutKeys(options, EXTRACTION_KEYS);
  const read = withTransform(model, wanted);
  const names = topK > 0 ? labelsFor(read, labels) : undefined;
  const computed = [...new Set([...outputs, ...(topK > 0 ? ['logits'] : [])])];
  // Calibrated before it is compiled: the scales that are found belong to the fingerprint.
  const network = await networkToCompile(read, { ...compileOptions, outputs: computed });
  const path = await createImagePath(network, {
    ...withoutKeys(compileOptions, ['calibration', 'quantization']),
    transform: read.transform,
    maxBatch: batch,
    outputs: computed,
  });
  try {
    const columns = await columnsOf(path, outputs, settings);
    const fingerprint = {
      ...networkFacts(network, computed),
      transform: transformFacts(path.transform),
      dtype: path.session.dtype,
      ...settings,
      version: packageVersion(),
    };
    return new Extraction(path, columns, fingerprint, names);
  } catch (error) {
    await path.session.close();
    throw error;
  }
}

/** The options without some; one that nobody knows is left for compile to refuse. */
export function withoutKeys<T extends object, K extends keyof T>(options: T, keys: readonly K[]): Omit<T, K> {
  const left = Object.entries(options).filter(([name]) => !keys.includes(name as K));
  return Object.fromEntries(left) as Omit<T, K>;
}

type Settings = FeatureSettings & Pick<Fingerprint, 'outputs' | 'format' | 'topK'>;

function checkedSettings(options: ExtractionOptions): Settings {
  const { outputs = ['avgpool'], format = 'npy', storeDtype = 'float32', topK = 0 } = options;
  if (!Array.isArray(outputs) || outputs.length === 0) {
    throw invalid('outputs', 'an array of at least one node name', outputs);
  }
  if (new Set(outputs).size < outputs.length) throw invalid('outputs', 'each node once', outputs);
  checkOneOf('format', format, FORMATS);
  checkOneOf('storeDtype', storeDtype, STORED_DTYPES);
  if (format === 'parquet' && storeDtype !== 'float32') {
    throw invalid(
      'storeDtype',
      'float32, which is what parquet holds (npy and safetensors hold both)',
      storeDtype,
    );
  }
  if (format === 'parquet' && outputs.includes('key')) {
    throw invalid('outputs', 'no node named "key", which is a column of parquet files', outputs);
  }
  checkInteger('topK', topK, 0);
  return {
    outputs: [...outputs],
    format,
    storeDtype,
    pool: checkedFlag('pool', options.pool),
    normalize: checkedFlag('normalize', options.normalize),
    topK,
  };
}

function checkedFlag(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw invalid(name, 'true or false', value);
}

/** The shapes of features, from a run of a black picture: a part may hold no image that can be read. */
async function columnsOf(
  { session, transform: { cropSize } }: ImagePath,
  outputs: readonly string[],
  settings: FeatureSettings,
): Promise<Column[]> {
  const black = Tensor.allocate([1, cropSize, cropSize, session.channels], 'uint8');
  const results = await session.run(black);
  return outputs.map((name) => columnOf(name, (results[name] as Tensor).shape.slice(1), settings));
}
