/** Everything that can go wrong, by a stable code that programs may switch on. */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_SHAPE'
  | 'UNSUPPORTED'
  | 'UNKNOWN_NODE'
  | 'STATE_DICT_MISMATCH'
  | 'WEIGHTS_FORMAT'
  | 'IMAGE_DECODE'
  | 'FILE'
  | 'DEVICE_UNAVAILABLE'
  | 'DEVICE_LOST'
  | 'OUT_OF_MEMORY'
  | 'SESSION_CLOSED'
  | 'QUEUE_FULL'
  | 'DEADLINE_EXCEEDED'
  | 'DOWNLOAD'
  | 'INTERNAL';

/**
 * The one error type of the package. `message` says what was wrong, what was expected and what to do; `code` is
 * stable; `cause`, where there is one, is the error underneath.
 */
export class ResNetError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ResNetError';
    this.code = code;
  }
}

/** A weights file that is damaged, hostile or of a kind that is not read. `code` is `WEIGHTS_FORMAT`. */
export class WeightsFormatError extends ResNetError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('WEIGHTS_FORMAT', message, options);
    this.name = 'WeightsFormatError';
  }
}

/** What an aborted operation rejects with: name `AbortError`, code `ABORT_ERR`, `cause` the signal's reason. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR';

  constructor(reason: unknown) {
    super('The operation was aborted', { cause: reason });
    this.name = 'AbortError';
  }
}

/** @throws AbortError if `signal` is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason);
}
