import type { ErrorCode } from '../../errors.js';
import type { Tensor } from '../../tensor.js';
import type { Compilable } from '../compilable.js';
import type { CompileOptions } from '../compile.js';
import type { Session } from '../session.js';

// What a hosted session and the process that holds it say to each other, over Node's channel with structured clones.

/** Sent first, once. Answered by `ready`, or by `failed` without an id. */
export interface CompileMessage {
  readonly kind: 'compile';
  readonly model: Compilable;
  readonly options: CompileOptions;
}

/** Answered by `done` or `failed`. */
export interface RunMessage {
  readonly kind: 'run';
  readonly id: number;
  readonly tensors: readonly Pick<Tensor, 'data' | 'shape' | 'layout'>[];
}

export interface CancelMessage {
  readonly kind: 'cancel';
  readonly id: number;
}

/** What everyone may know of a session. */
export type SessionFacts = Pick<
  Session,
  'device' | 'deviceReason' | 'dtype' | 'maxBatch' | 'contexts' | 'channels' | 'outputs' | 'plan'
>;

export interface ReadyMessage {
  readonly kind: 'ready';
  readonly facts: SessionFacts;
}

export interface DoneMessage {
  readonly kind: 'done';
  readonly id: number;
  readonly results: readonly (readonly [name: string, data: Float32Array, shape: readonly number[]])[];
}

export interface FailedMessage {
  readonly kind: 'failed';
  readonly id?: number;
  readonly code: ErrorCode | 'ABORT_ERR';
  readonly message: string;
}

export type ToHost = CompileMessage | RunMessage | CancelMessage;
export type FromHost = ReadyMessage | DoneMessage | FailedMessage;
