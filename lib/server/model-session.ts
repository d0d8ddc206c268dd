import { ResNetError } from '../errors.js';
import type { BatchInput } from '../runtime/batch-input.js';
import type { Compilable } from '../runtime/compilable.js';
import { type CompileOptions, compileModel, NICENESS_BESIDE_EVENT_LOOP } from '../runtime/compile.js';
import { chooseDevices } from '../runtime/devices.js';
import { type HostedSession, hostSession, type RestartEvent } from '../runtime/hosted/hosted-session.js';
import type { Results, RunOptions, Session } from '../runtime/session.js';
import { Tensor } from '../tensor.js';

/** What a server needs of a session, whichever process that is in. */
export interface ModelSession
  extends Pick<
    Session,
    'run' | 'close' | 'device' | 'deviceReason' | 'dtype' | 'maxBatch' | 'channels' | 'outputs'
  > {
  /** False while the device is lost; a session of this process does not say. */
  readonly isReady?: boolean;
}

export interface OpenSessionOptions extends CompileOptions {
  /** Whether the session gets a process of its own. Default: on a GPU, whose faults would take this one along. */
  readonly isolate?: boolean | undefined;
  /** Is told each time that the device was lost. */
  readonly onRestart: (event: RestartEvent) => void;
}

/** @throws ResNetError what `compile` and `hostSession` throw. */
export async function openSession(model: Compilable, options: OpenSessionOptions): Promise<ModelSession> {
  const { isolate, onRestart, niceness = NICENESS_BESIDE_EVENT_LOOP, ...others } = options;
  const compileOptions = { ...others, niceness };
  const { devices } = await chooseDevices(compileOptions.device ?? 'auto');
  if (!(isolate ?? devices[0].id.startsWith('cuda'))) {
    return compileModel(model, compileOptions);
  }
  return IsolatedSession.open(model, compileOptions, onRestart);
}

// The process is started again for as long as the server runs: a GPU may come back.
const ALWAYS = Number.MAX_SAFE_INTEGER;

/** A session in a process of its own. A batch that was running when its process was lost runs once more. */
class IsolatedSession implements ModelSession {
  #hosted!: HostedSession;
  /** How often the process was started again since a run last succeeded. */
  #attempts = 0;

  static async open(
    model: Compilable,
    options: CompileOptions,
    onRestart: OpenSessionOptions['onRestart'],
  ): Promise<IsolatedSession> {
    const session = new IsolatedSession();
    const restarted = (event: RestartEvent) => {
      session.#attempts++;
      onRestart(event);
      // The first run after a restart waits for it, and says that the device is back.
      if (session.#attempts === 1) void session.#probe();
    };
    session.#hosted = await hostSession(model, { ...options, maxRestarts: ALWAYS, onRestart: restarted });
    return session;
  }

  get isReady(): boolean {
    return this.#attempts === 0;
  }

  get device(): string {
    return this.#hosted.device;
  }

  get deviceReason(): string {
    return this.#hosted.deviceReason;
  }

  get dtype(): string {
    return this.#hosted.dtype;
  }

  get maxBatch(): number {
    return this.#hosted.maxBatch;
  }

  get channels(): number {
    return this.#hosted.channels;
  }

  get outputs(): readonly string[] {
    return this.#hosted.outputs;
  }

  /** As `Session.run`. Waits for a process that is started again, unless the first start failed too: then `DEVICE_LOST`. */
  async run(input: BatchInput, options: RunOptions = {}): Promise<Results> {
    if (this.#attempts > 1) {
      throw new ResNetError('DEVICE_LOST', `The device ${this.device} is lost; it is being started again`);
    }
    try {
      return await this.#run(input, options);
    } catch (error) {
      if (!(error instanceof ResNetError) || error.code !== 'DEVICE_LOST') throw error;
      return this.#run(input, options);
    }
  }

  close(): Promise<void> {
    return this.#hosted.close();
  }

  async #run(input: BatchInput, options: RunOptions): Promise<Results> {
    const results = await this.#hosted.run(input, options);
    this.#attempts = 0;
    return results;
  }

  /** Until the device is back: a device that nobody asks would never be known to be. */
  async #probe(): Promise<void> {
    const pixel = Tensor.fromUint8(new Uint8Array(this.channels), [1, 1, 1, this.channels]);
    while (this.#attempts > 0) {
      try {
        await this.#run(pixel, {});
      } catch (error) {
        // Whatever else it says, it is there to say it; or it is closed.
        if (!(error instanceof ResNetError) || error.code !== 'DEVICE_LOST') this.#attempts = 0;
      }
    }
  }
}
