import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ResNetError } from '../errors.js';
import type { CompileOptions } from '../runtime/compile.js';
import type { Answers, ErrorAnswer, Request } from './protocol.js';

/** How an engine's process is started. */
export interface EngineCommand {
  readonly engine: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Of our sessions, where they are not what is asked for all of them. */
  readonly options?: Pick<CompileOptions, 'autotune' | 'memory'>;
}

// Of what an engine wrote to standard error, this much of its end goes into the message about its failure.
const MAX_STDERR = 2000;

/** A process that holds one engine with its own memory and threads. It answers one request at a time. */
export class EngineProcess {
  readonly #engine: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #stderr = '';

  /** @param signal ends the process when it is aborted. */
  constructor(command: EngineCommand, signal: AbortSignal) {
    this.#engine = command.engine;
    const options = { stdio: 'pipe', signal, killSignal: 'SIGKILL' } as const;
    this.#child = spawn(command.file, command.args, options);
    const { stdin, stdout, stderr } = this.#child as ChildProcess & Required<Pipes>;
    const lines = createInterface({ input: stdout });
    this.#lines = lines[Symbol.asyncIterator]();
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR);
    });
    // A process that could not be started, or was ended by the signal, shows as the end of its lines.
    this.#child.on('error', (error) => {
      this.#stderr += error.message;
      lines.close();
    });
    stdin.on('error', () => {});
  }

  /** @throws ResNetError with the engine's own words and code (else `INTERNAL`) when it fails or its process ends. */
  async ask<Op extends Request['op']>(request: Extract<Request, { op: Op }>): Promise<Answers[Op]> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new ResNetError('INTERNAL', this.#howItEnded());
    const answer = JSON.parse(value) as Answers[Op] | ErrorAnswer;
    if ('error' in answer) throw new ResNetError(answer.code ?? 'INTERNAL', answer.error);
    return answer;
  }

  /** Ends the process, whatever it is doing. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || !this.#child.pid) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }

  #howItEnded(): string {
    const stderr = this.#stderr.trim();
    return `the process of ${this.#engine} ended${stderr && `:\n${stderr}`}`;
  }
}

type Pipes = { [Name in 'stdin' | 'stdout' | 'stderr']: Exclude<ChildProcess[Name], null> };
