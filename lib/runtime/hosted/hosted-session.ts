import { setTimeout as sleep } from 'node:timers/promises';
import { AbortError, ResNetError } from '../../errors.js';
import { parameterShapes, readValues } from '../../graph/parameters.js';
import { checkInteger, invalid } from '../../is.js';
import { onAbort } from '../../on-abort.js';
import { Tensor } from '../../tensor.js';
import { type BatchInput, checkBatch } from '../batch-input.js';
import { type Compilable, readModel } from '../compilable.js';
import type { CompileOptions } from '../compile.js';
import type { PlanStep, Results, RunOptions } from '../session.js';
import { HostProcess } from './host-process.js';
import type { SessionFacts } from './protocol.js';

export interface HostOptions extends CompileOptions {
  /** How often in a row the process is started anew without one run that succeeds in between. Default 5. */
  readonly maxRestarts?: number | undefined;
  /** Is told when the process is lost, before it is started again. */
  readonly onRestart?: ((event: RestartEvent) => void) | undefined;
}

export interface RestartEvent {
  /** Why the process before is gone, or could not compile: mostly `DEVICE_LOST`. */
  readonly reason: ResNetError;
  /** How often the process was started again since the session was opened, this time included. */
  readonly restarts: number;
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 5000;

/**
 * Compiles a model in a child process, which is started again when it ends or its device is lost: an error of the GPU
 * that no process survives then costs the runs that were under way, and nothing else. For that the weights stay in this
 * process too: leave them unchanged. Batches and results go through a pipe, which costs about a millisecond for every few megabytes.
 * @throws ResNetError what `compile` throws, and `DEVICE_LOST` when the process ends before it has compiled.
 */
export async function hostSession(model: Compilable, options: HostOptions = {}): Promise<HostedSession> {
  const { maxRestarts = 5, onRestart, ...compileOptions } = options;
  checkInteger('maxRestarts', maxRestarts, 0);
  if (onRestart !== undefined && typeof onRestart !== 'function')
    throw invalid('onRestart', 'a function', onRestart);
  const whole = materialize(readModel(model));
  const start = async () => {
    const host = new HostProcess(whole, compileOptions);
    try {
      return { host, facts: await host.ready };
    } catch (error) {
      await host.kill();
      throw error;
    }
  };
  return new HostedSession(start, await start(), maxRestarts, onRestart ?? (() => undefined));
}

interface Started {
  readonly host: HostProcess;
  readonly facts: SessionFacts;
}

/** A session in a process of its own, from `hostSession`. Used like a `Session`; a `Batcher` takes it too. */
export class HostedSession {
  readonly #start: () => Promise<Started>;
  readonly #maxRestarts: number;
  readonly #onRestart: (event: RestartEvent) => void;
  #current: Started; // the last that could be had
  #host: HostProcess | undefined; // undefined while it is started again, and after the last time
  #next: Promise<HostProcess>;
  #restarts = 0;
  #failures = 0; // since the last run that succeeded
  readonly #running = new Set<Promise<unknown>>();
  readonly #ending = new AbortController();
  #closed: Promise<void> | undefined;

  /** Hosted sessions come from `hostSession`. */
  constructor(
    start: () => Promise<Started>,
    first: Started,
    maxRestarts: number,
    onRestart: (event: RestartEvent) => void,
  ) {
    this.#start = start;
    this.#maxRestarts = maxRestarts;
    this.#onRestart = onRestart;
    this.#current = first;
    this.#next = Promise.resolve(first.host);
    this.#use(first);
  }

  get device(): string {
    return this.#current.facts.device;
  }

  get deviceReason(): string {
    return this.#current.facts.deviceReason;
  }

  get dtype(): string {
    return this.#current.facts.dtype;
  }

  get maxBatch(): number {
    return this.#current.facts.maxBatch;
  }

  get contexts(): number {
    return this.#current.facts.contexts;
  }

  get channels(): number {
    return this.#current.facts.channels;
  }

  get outputs(): readonly string[] {
    return this.#current.facts.outputs;
  }

  get plan(): readonly PlanStep[] {
    return this.#current.facts.plan;
  }

  /** Of the process that holds the session, or held it last. */
  get pid(): number | undefined {
    return this.#current.host.pid;
  }

  /** How often the process was started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /**
   * As `Session.run`. A run that is under way when the process is lost rejects with `DEVICE_LOST`, and may be tried
   * again at once: it waits until the process is back.
   * @throws ResNetError what `Session.run` throws; `DEVICE_LOST`; AbortError.
   */
  async run(input: BatchInput, options: RunOptions = {}): Promise<Results> {
    const { signal } = options;
    checkBatch(input, this);
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalid('signal', 'an AbortSignal', signal);
    if (this.#closed)
      throw new ResNetError(
        'SESSION_CLOSED',
        'The session is closed: it takes no more runs; host the model again',
      );
    if (signal?.aborted) throw new AbortError(signal.reason);
    const tensors = input instanceof Tensor ? [input] : input;
    const running = this.#host
      ? this.#host.run(tensors, signal)
      : this.#runLater(tensors.map(copyOf), signal);
    this.#running.add(running);
    try {
      const results = await running;
      this.#failures = 0;
      return results;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Takes no more runs, waits for those under way, and ends the process. Any number of times. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running);
    this.#ending.abort();
    const host = await this.#next.catch(() => undefined);
    await host?.kill();
  }

  async #runLater(input: readonly Tensor[], signal: AbortSignal | undefined): Promise<Results> {
    const host = await unlessAborted(this.#next, signal);
    return host.run(input, signal);
  }

  #use(started: Started): HostProcess {
    this.#current = started;
    this.#host = started.host;
    started.host.whenLost((reason) => {
      this.#host = undefined;
      if (this.#ending.signal.aborted) return;
      this.#next = this.#restart(reason);
      this.#next.catch(() => undefined); // told to every run
    });
    return started.host;
  }

  /** Until it works, or has failed too often in a row. */
  async #restart(lost: ResNetError): Promise<HostProcess> {
    let reason = lost;
    await this.#current.host.kill(); // what it had of the device is free only then
    while (this.#failures < this.#maxRestarts) {
      this.#restarts++;
      this.#onRestart({ reason, restarts: this.#restarts });
      const delay = Math.min(FIRST_DELAY_MS * 2 ** this.#failures++, LONGEST_DELAY_MS);
      await sleep(delay, undefined, { signal: this.#ending.signal });
      try {
        const started = await this.#start();
        if (!this.#ending.signal.aborted) return this.#use(started);
        await started.host.kill();
        throw new ResNetError('SESSION_CLOSED', 'The session is closed');
      } catch (error) {
        if (this.#ending.signal.aborted) throw error;
        reason = error instanceof ResNetError ? error : new ResNetError('INTERNAL', String(error));
      }
    }
    throw new ResNetError(
      'DEVICE_LOST',
      `The session's process was started again ${this.#failures} times in vain; the last time: ${reason.message}`,
      { cause: reason },
    );
  }
}

/** Everything computed and plain, so that it can be cloned into another process: the parameters the graph names. */
function materialize({ graph, parameters, transform, categories }: Compilable): Compilable {
  const needed = new Map(
    [...parameterShapes(graph).keys()].map((key) => {
      const parameter = parameters.get(key);
      if (!parameter) throw invalid('model.parameters', `a tensor named "${key}"`, 'none');
      return [key, { shape: [...parameter.shape], data: readValues(parameter) }] as const;
    }),
  );
  return { graph, parameters: needed, transform: { ...transform }, categories };
}

function copyOf({ data, shape, layout }: Tensor): Tensor {
  return data instanceof Float32Array
    ? Tensor.fromFloat32(data.slice(), shape, { layout })
    : Tensor.fromUint8(data.slice(), shape);
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const forget = onAbort(signal, () => reject(new AbortError(signal.reason)));
    promise.then(resolve, reject).finally(forget);
  });
}
