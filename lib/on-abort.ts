const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `callback` when `signal` aborts, which it has not yet. A signal has one listener however many wait for it:
 * one may end thousands of runs, and Node warns of more than ten listeners.
 * @returns forgets the callback.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (!signal) return () => undefined;
  const callbacks = waiting.get(signal) ?? listen(signal);
  callbacks.add(callback);
  return () => {
    callbacks.delete(callback);
    if (callbacks.size > 0 || waiting.get(signal) !== callbacks) return;
    // A signal made of others lives as long as they do while somebody listens to it.
    signal.removeEventListener('abort', callAll);
    waiting.delete(signal);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>();
  waiting.set(signal, callbacks);
  signal.addEventListener('abort', callAll, { once: true });
  return callbacks;
}

function callAll(event: Event): void {
  for (const callback of waiting.get(event.target as AbortSignal) ?? []) callback();
}
