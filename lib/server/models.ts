import { didYouMean, invalid, show } from '../is.js';
import type { BatchReport } from '../runtime/batch-stats.js';
import { DeviceTurns } from '../runtime/device-turns.js';
import type { RestartEvent } from '../runtime/hosted/hosted-session.js';
import { notFound, RequestError } from './request-error.js';
import { ServedModel, type ServedModelOptions, URL_NAME } from './served-model.js';

/** A model to serve: itself, the path of its file, what loads it, or any of these with options. */
export type ModelSource = ServedModelOptions['model'] | ServedModelOptions;

export type BatchListener = (model: string, report: BatchReport) => void;

/** Who hears of what happens to models. */
export interface ModelsListener {
  readonly onBatch: BatchListener;
  readonly onRestart: (model: string, event: RestartEvent) => void;
}

/** A model as a repository lists it. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE';
  readonly reason: string;
}

export const MAX_NAME_LENGTH = 128;

/** The models of a server, by name. */
export class Models {
  readonly #options = new Map<string, ServedModelOptions>();
  readonly #served = new Map<string, ServedModel>();
  /** Loads and unloads of a model happen one after the other. */
  readonly #changes = new Map<string, Promise<void>>();
  readonly #closing = new Set<Promise<void>>();
  /** Models of one device take turns on it: fairly, and not in each other's way. */
  readonly #turns = new DeviceTurns();

  constructor(
    sources: Readonly<Record<string, ModelSource>>,
    private readonly defaults: Partial<ServedModelOptions>,
    private readonly listener: ModelsListener,
  ) {
    for (const [name, source] of Object.entries(sources)) {
      checkName(name);
      this.#options.set(name, optionsOf(source));
    }
    if (this.#options.size === 0) throw invalid('models', 'at least one model', sources);
  }

  /** Every model that is served now. */
  list(): ServedModel[] {
    return [...this.#served.values()];
  }

  /**
   * The model of a name, in the version it has.
   * @throws RequestError 404.
   */
  get(name: string, version?: string): ServedModel {
    const model = this.#served.get(name);
    if (!model) {
      const known = this.#options.has(name);
      const hint = known ? ': it is not loaded' : didYouMean(name, this.#served.keys());
      throw notFound(`There is no model ${show(name)}${hint}`);
    }
    if (!hasVersion(model, version)) {
      throw notFound(`The model ${show(name)} has version ${model.version} but not ${show(version)}`);
    }
    return model;
  }

  /** The model of a name; without one, the only model there is. */
  choose(name: string | undefined): ServedModel {
    if (name !== undefined) return this.get(name);
    const [first, ...others] = this.list();
    if (first && others.length === 0) return first;
    const names = this.list().map((model) => model.name);
    throw new RequestError(
      400,
      'INVALID_ARGUMENT',
      `Say which model: ?model=NAME, one of ${names.join(', ')}`,
    );
  }

  /** @param onlyReady leaves out the others. */
  index(onlyReady = false): IndexEntry[] {
    const entries = [...this.#options].map(([name, options]): IndexEntry => {
      const version = options.version ?? '1';
      const model = this.#served.get(name);
      if (model?.isReady) return { name, version, state: 'READY', reason: '' };
      if (model) return { name, version, state: 'UNAVAILABLE', reason: 'its device is lost' };
      const state = this.#changes.has(name) ? 'LOADING' : 'UNAVAILABLE';
      return { name, version, state, reason: state === 'LOADING' ? '' : 'unloaded' };
    });
    return onlyReady ? entries.filter(({ state }) => state === 'READY') : entries;
  }

  /** Whether there is such a model and version, and a device to answer. */
  isReady(name: string, version: string): boolean {
    const model = this.#served.get(name);
    return model !== undefined && hasVersion(model, version) && model.isReady;
  }

  /** Whether every model that is served has a device to answer. */
  get areReady(): boolean {
    return this.list().every(({ isReady }) => isReady);
  }

  /** Loads every model. */
  async loadAll(): Promise<void> {
    for (const name of this.#options.keys()) await this.load(name);
  }

  /**
   * Loads a model, anew if it is there already: the old one answers until the new one is ready, and all it was asked.
   * @throws RequestError 404; and what loading throws, after which the old one is still there.
   */
  load(name: string): Promise<void> {
    const options = this.#options.get(name);
    if (!options) throw notFound(`There is no model ${show(name)}${didYouMean(name, this.#options.keys())}`);
    return this.#change(name, async () => {
      const { onBatch, onRestart } = this.listener;
      const model = await ServedModel.open(name, { ...this.defaults, ...options }, this.#turns, {
        onBatch: (report) => onBatch(name, report),
        onRestart: (event) => onRestart(name, event),
      });
      this.#retire(this.#served.get(name));
      this.#served.set(name, model);
    });
  }

  /** Takes no more requests for a model, and frees it once it has answered those it has. */
  unload(name: string): Promise<void> {
    if (!this.#options.has(name)) throw notFound(`There is no model ${show(name)}`);
    return this.#change(name, async () => {
      this.#retire(this.#served.get(name));
      this.#served.delete(name);
    });
  }

  /** Unloads all models and waits until they are freed. */
  async close(): Promise<void> {
    await Promise.all([...this.#options.keys()].map((name) => this.unload(name)));
    await Promise.all(this.#closing);
  }

  #retire(model: ServedModel | undefined): void {
    if (!model) return;
    const closing = model.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async #change(name: string, work: () => Promise<void>): Promise<void> {
    const before = this.#changes.get(name);
    const change = (before ?? Promise.resolve()).catch(() => undefined).then(work);
    this.#changes.set(name, change);
    try {
      await change;
    } finally {
      if (this.#changes.get(name) === change) this.#changes.delete(name);
    }
  }
}

/** None, or an empty one, is whichever it has. */
function hasVersion(model: ServedModel, version = ''): boolean {
  return version === '' || version === model.version;
}

/** Names are parts of URLs, where "." and ".." mean folders, and "stats" is a resource of its own. */
function checkName(name: string): void {
  if (URL_NAME.test(name) && name.length <= MAX_NAME_LENGTH && name !== 'stats') return;
  const expected = `at most ${MAX_NAME_LENGTH} letters, digits, ".", "_" and "-", not beginning with "." or "-" nor "stats"`;
  throw invalid('a model name', expected, name);
}

function optionsOf(source: ModelSource): ServedModelOptions {
  if (typeof source === 'string' || typeof source === 'function') return { model: source };
  if (typeof source === 'object' && source !== null && 'graph' in source) return { model: source };
  if (typeof source !== 'object' || source === null || !('model' in source)) {
    throw invalid('a model', 'a model, a path, what loads one, or { model, … }', source);
  }
  return source;
}
