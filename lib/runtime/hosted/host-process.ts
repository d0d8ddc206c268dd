import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { AbortError, ResNetError } from '../../errors.js';
import { onAbort } from '../../on-abort.js';
import { Tensor } from '../../tensor.js';
import type { Compilable } from '../compilable.js';
import type { CompileOptions } from '../compile.js';
import type { Results } from '../session.js';
import type { DoneMessage, FailedMessage, FromHost, SessionFacts, ToHost } from './protocol.js';

// Compiled, because a process is started from it; the same place seen from lib/ and from dist/.
const CHILD = fileURLToPath(new URL('../../../dist/runtime/hosted/child.js', import.meta.url));
// Of what the process wrote to standard error, this much of its end goes into the message about its end.
const MAX_STDERR = 2000;

interface Pending {
  readonly resolve: (results: Results) => void;
  readonly reject: (error: Error) => void;
}

/** One child process with one compiled session. Runs that it cannot answer any more reject with `DEVICE_LOST`. */
export class HostProcess {
  /** What the session is; rejects when it cannot be compiled, or with `DEVICE_LOST` when the process ends before. */
  readonly ready: Promise<SessionFacts>;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #settleReady!: { resolve: (facts: SessionFacts) => void; reject: (error: Error) => void };
  #lost: ResNetError | undefined;
  #onLost: (reason: ResNetError) => void = () => undefined;
  #lastRun = 0;
  #ending = false; // somebody waits for its end
  #stderr = '';

  constructor(model: Compilable, options: CompileOptions) {
    this.#child = fork(CHILD, {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR);
    });
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => undefined); // whoever waits for it hears of it
    this.ended = this.#watch();
    this.#child.on('message', (message: FromHost) => this.#take(message));
    this.#send({ kind: 'compile', model, options });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Calls back once, as soon as nothing is to be had from the process any more; before any run rejects for that. */
  whenLost(callback: (reason: ResNetError) => void): void {
    this.#onLost = callback;
    if (this.#lost) callback(this.#lost);
  }

  /** The input is copied before this returns. */
  run(input: readonly Tensor[], signal: AbortSignal | undefined): Promise<Results> {
    if (this.#lost) return Promise.reject(this.#lost);
    const id = ++this.#lastRun;
    const forget = onAbort(signal, () => this.#send({ kind: 'cancel', id }));
    const tensors = input.map(({ data, shape, layout }) => ({ data, shape, layout }));
    return new Promise<Results>((resolve, reject) => {
      this.#pending.set(id, {
        resolve,
        reject: (error) => reject(error instanceof AbortError ? new AbortError(signal?.reason) : error),
      });
      this.#send({ kind: 'run', id, tensors });
      this.#keepAlive();
    }).finally(forget);
  }

  /** Ends the process, whatever it is doing, and waits for that. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.#keepAlive();
    this.#child.kill('SIGKILL');
    await this.ended;
  }

  async #watch(): Promise<void> {
    const ended = once(this.#child, 'close').then(([code, signal]) => howItEnded(code, signal, this.#stderr));
    // A process that could not be started at all says so, and never closes.
    const failed = new Promise<string>((resolve) => {
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined) resolve(`could not be started: ${error.message}`);
      });
    });
    const what = await Promise.race([ended.catch((error: Error) => error.message), failed]);
    this.#lose(new ResNetError('DEVICE_LOST', `The process that held the session ${what}`));
  }

  #take(message: FromHost): void {
    if (message.kind === 'ready') {
      this.#settleReady.resolve(message.facts);
      this.#keepAlive();
    } else if (message.kind === 'failed' && message.id === undefined) {
      this.#settleReady.reject(errorOf(message));
    } else {
      this.#settle(message as DoneMessage | (FailedMessage & { id: number }));
    }
  }

  #settle(message: DoneMessage | (FailedMessage & { id: number })): void {
    const run = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === 'done') run?.resolve(resultsOf(message));
    else run?.reject(errorOf(message));
    this.#keepAlive();
    // Nothing that process does with the device can work any more.
    if (message.kind === 'failed' && message.code === 'DEVICE_LOST') {
      this.#lose(errorOf(message) as ResNetError);
      this.#child.kill('SIGKILL');
    }
  }

  /** Nothing is awaited from it any more: every run under way, and every later one, rejects. */
  #lose(reason: ResNetError): void {
    if (this.#lost) return;
    this.#lost = reason;
    this.#onLost(reason);
    this.#settleReady.reject(reason);
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #send(message: ToHost): void {
    if (this.#child.connected) this.#child.send(message, () => undefined); // its end is told by `ended`
  }

  /** A session that nobody waits for does not keep this process alive; a run under way does, and waiting for its end. */
  #keepAlive(): void {
    const handles = [this.#child, this.#child.channel, this.#child.stderr as (Readable & Referable) | null];
    const busy = this.#pending.size > 0 || this.#ending;
    for (const handle of handles) {
      if (busy) handle?.ref?.();
      else handle?.unref?.();
    }
  }
}

interface Referable {
  ref?(): void;
  unref?(): void;
}

function resultsOf({ results }: DoneMessage): Results {
  return Object.fromEntries(results.map(([name, data, shape]) => [name, Tensor.fromFloat32(data, shape)]));
}

function errorOf({ code, message }: FailedMessage): Error {
  return code === 'ABORT_ERR' ? new AbortError(undefined) : new ResNetError(code, message);
}

function howItEnded(code: number | null, signal: string | null, stderr: string): string {
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  const words = stderr.trim();
  return words === '' ? how : `${how}:\n${words}`;
}
