import { ResNetError, throwIfAborted } from '../errors.js';
import { checkInteger, invalid } from '../is.js';
import type { Compilable } from '../runtime/compilable.js';
import type { Entry } from '../sources/entry.js';
import { checkedInputs, countEntries, type ExtractInputs, inputEntries } from '../sources/inputs.js';
import { mapOrdered } from '../tasks/pipeline.js';
import type { StageTimes } from '../tasks/stage-clock.js';
import { type AloneRates, ratesAlone } from './alone.js';
import {
  createExtraction,
  type EncodedBatch,
  type Extraction,
  type ExtractionOptions,
  withoutKeys,
} from './extraction.js';
import { lockFolder } from './folder-lock.js';
import { KeySet } from './key-set.js';
import {
  checkFingerprint,
  checkWriter,
  finishedKeys,
  type Manifest,
  newManifest,
  readManifest,
  removeUnfinished,
  writeManifest,
} from './manifest.js';
import { explainFullDisk, PartsWriter } from './parts-writer.js';
import { boundingStage, type Stage, type StageClocks, stageClocks, timesOf } from './stages.js';

export interface ExtractFeaturesOptions extends ExtractionOptions {
  /** The folder for the features; made if need be. */
  readonly out: string;
  /** Images in a part. Default 10,000. */
  readonly shardSize?: number | undefined;
  /**
   * Goes on in a folder that has features of the same kind already: images whose keys are in it are passed over.
   * Default false, which refuses such a folder.
   */
  readonly resume?: boolean | undefined;
  /** More bad images than these end the run. Default: any number is taken. */
  readonly maxErrors?: number | undefined;
  /** Measures decoding and computing alone, on the first 128 images, before it begins. Default false. */
  readonly profile?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch that was written. */
  readonly onProgress?: ((progress: ExtractProgress) => void) | undefined;
}

export interface ExtractProgress {
  /** Written by this run, bad ones included. */
  readonly images: number;
  /** Of these, the ones that could not be read. */
  readonly errors: number;
  /** Passed over because they had been extracted before. */
  readonly skipped: number;
  /** All that there are, once they are counted; never known for tars and adapters. */
  readonly total: number | undefined;
  readonly seconds: number;
  /** What each stage has done. */
  readonly stages: Readonly<Record<Stage, StageTimes>>;
  /** The stage that had work under way for the most time. */
  readonly boundedBy: Stage;
}

export interface ExtractSummary extends ExtractProgress {
  /** Parts in the folder. */
  readonly parts: number;
  /** With `profile`, unless no image could be read. */
  readonly alone?: AloneRates | undefined;
}

const RUN_KEYS = ['out', 'shardSize', 'resume', 'maxErrors', 'profile', 'signal', 'onProgress'] as const;
const PROFILED_IMAGES = 128;
// Batches that wait for the disk.
const WRITES_UNDER_WAY = 2;

/**
 * Extracts features of any number of images into a folder: files of `shardSize` rows, each with an index that says
 * which row is which image, and `manifest.json`.
 *
 * Nothing finished is ever lost: a part appears whole or not at all, and with `resume` a run goes on after whatever
 * ended the last one, with each image once. An image that cannot be read is a line with an error in the index.
 *
 * ```ts
 * await extractFeatures(model, 'photos', { out: 'features', outputs: ['avgpool'], resume: true });
 * ```
 * @param inputs paths (files, folders, globs, `.tar` shards, `@list`) and adapters.
 * @throws ResNetError `INVALID_ARGUMENT` for options, for two images with one key, and for a folder of other features;
 * `FILE` for inputs that are not there, a folder in use or a full disk; the code of the last bad image when there are
 * more than `maxErrors`; what compiling and running throw. AbortError.
 */
export async function extractFeatures(
  model: Compilable,
  inputs: ExtractInputs,
  options: ExtractFeaturesOptions,
): Promise<ExtractSummary> {
  checkOptions(options);
  checkedInputs(inputs);
  throwIfAborted(options.signal);
  const extraction = await createExtraction(model, withoutKeys(options, RUN_KEYS));
  try {
    const unlock = await lockFolder(options.out);
    try {
      const alone = options.profile
        ? await ratesAlone(extraction, inputEntries(inputs, options.signal), PROFILED_IMAGES, options.signal)
        : undefined;
      return { ...(await new Run(extraction, inputs, options).go()), ...(alone && { alone }) };
    } finally {
      await unlock();
    }
  } finally {
    await extraction.close();
  }
}

function checkOptions({ out, shardSize, maxErrors, resume, profile }: ExtractFeaturesOptions): void {
  if (typeof out !== 'string' || out === '' || out.includes('\0')) throw invalid('out', 'a folder', out);
  if (shardSize !== undefined) checkInteger('shardSize', shardSize, 1);
  if (maxErrors !== undefined && maxErrors !== Number.POSITIVE_INFINITY) {
    checkInteger('maxErrors', maxErrors, 0);
  }
  for (const [name, flag] of Object.entries({ resume, profile })) {
    if (flag !== undefined && typeof flag !== 'boolean') throw invalid(name, 'true or false', flag);
  }
}

/** One call of `extractFeatures`, with what it has counted. */
class Run {
  readonly #clocks: StageClocks = stageClocks();
  readonly #start = performance.now();
  #images = 0;
  #errors = 0;
  #skipped = 0;
  #total: number | undefined;

  constructor(
    private readonly extraction: Extraction,
    private readonly inputs: ExtractInputs,
    private readonly options: ExtractFeaturesOptions,
  ) {}

  async go(): Promise<ExtractSummary> {
    const { out, shardSize = 10_000, signal } = this.options;
    const manifest = await this.#openFolder(out);
    const done = await finishedKeys(out, manifest);
    this.#countTotal();
    const parts = new PartsWriter(out, this.extraction, manifest, shardSize);
    const entries = this.#freshEntries(done, signal);
    let writing = Promise.resolve();
    const write = (batch: EncodedBatch) => {
      writing = writing.then(() => this.#write(batch, parts));
      return writing;
    };
    try {
      const batches = this.extraction.encode(entries, this.#clocks, signal);
      for await (const _ of mapOrdered(batches, write, { limit: WRITES_UNDER_WAY, signal })) {
        this.options.onProgress?.(this.#progress());
      }
      await this.#clocks.write.time(0, () => parts.finishPart());
    } catch (error) {
      await writing.catch(() => undefined);
      await parts.discard();
      throw explainFullDisk(error);
    }
    return { ...this.#progress(), parts: parts.manifest.parts.length };
  }

  async #openFolder(out: string): Promise<Manifest> {
    const { fingerprint, columns } = this.extraction;
    const manifest = await readManifest(out);
    if (!manifest) {
      await removeUnfinished(out, undefined);
      const created = newManifest(fingerprint, columns);
      await writeManifest(out, created);
      return created;
    }
    checkFingerprint(out, manifest, fingerprint);
    await checkWriter(out, manifest, false);
    if (!this.options.resume) {
      const advice = 'go on with resume, or use another folder';
      throw new ResNetError('INVALID_ARGUMENT', `${out} holds features already: ${advice}`);
    }
    await removeUnfinished(out, manifest);
    return manifest;
  }

  /** Counts beside the work; a folder that cannot be read shows where it is walked for its images. */
  #countTotal(): void {
    countEntries(this.inputs, this.options.signal).then(
      (total) => {
        this.#total = total;
      },
      () => undefined,
    );
  }

  async *#freshEntries(
    done: KeySet,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Entry, void, undefined> {
    const seen = new KeySet();
    for await (const entry of inputEntries(this.inputs, signal)) {
      if (!seen.add(entry.key)) {
        throw new ResNetError(
          'INVALID_ARGUMENT',
          `Two of the images have the key ${JSON.stringify(entry.key)}: give each image once`,
        );
      }
      if (done.has(entry.key)) this.#skipped++;
      else yield entry;
    }
  }

  async #write(batch: EncodedBatch, parts: PartsWriter): Promise<void> {
    const bad = batch.images.filter(({ error }) => error);
    await this.#clocks.write.time(batch.images.length, () => parts.write(batch));
    this.#images += batch.images.length;
    this.#errors += bad.length;
    const { maxErrors = Number.POSITIVE_INFINITY } = this.options;
    const last = bad.at(-1)?.error;
    if (this.#errors > maxErrors && last) {
      throw new ResNetError(
        last.code,
        `${this.#errors} images could not be read, more than maxErrors, ${maxErrors}; the last: ${last.message}`,
        { cause: last },
      );
    }
  }

  #progress(): ExtractProgress {
    const stages = timesOf(this.#clocks);
    return {
      images: this.#images,
      errors: this.#errors,
      skipped: this.#skipped,
      total: this.#total,
      seconds: (performance.now() - this.#start) / 1000,
      stages,
      boundedBy: boundingStage(stages),
    };
  }
}
