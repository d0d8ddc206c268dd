import { invalid } from '../is.js';
import { native } from './native.js';
import { Session } from './session.js';

/**
 * Shares a session that another thread of this process opened: `handle` is that session's, posted to this thread. The
 * compiled network is not copied, and is freed when every session on it is closed; closing this one leaves the others
 * open.
 * @throws ResNetError `INVALID_ARGUMENT`, or `SESSION_CLOSED` when no open session has that handle.
 */
export function attachSession(handle: bigint): Session {
  if (typeof handle !== 'bigint') throw invalid('handle', "a session's handle, a bigint,", handle);
  return new Session(native().attach(handle));
}
