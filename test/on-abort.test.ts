import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onAbort } from '../lib/on-abort.js';

test('all that wait for a signal are called, by one listener', () => {
  const { signal, abort } = controller();
  const called: number[] = [];
  const forget = Array.from({ length: 100 }, (_, i) => onAbort(signal, () => called.push(i)));
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  forget[7]?.();
  abort();
  expect(called).toEqual(Array.from({ length: 100 }, (_, i) => i).filter((i) => i !== 7));
});

test('a signal that nobody waits for any more has no listener, and may be waited for again', () => {
  const { signal, abort } = controller();
  let called = 0;
  const forget = onAbort(signal, () => called++);
  forget();
  forget();
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  onAbort(signal, () => called++);
  forget();
  abort();
  expect(called).toBe(1);
});

test('a callback may forget itself and others', () => {
  const { signal, abort } = controller();
  const called: string[] = [];
  const first = onAbort(signal, () => {
    called.push('first');
    first();
    second();
  });
  const second = onAbort(signal, () => called.push('second'));
  onAbort(signal, () => called.push('third'));
  abort();
  expect(called).toEqual(['first', 'third']);
});

test('no signal never aborts', () => {
  expect(onAbort(undefined, () => expect.fail('called'))()).toBeUndefined();
});

function controller() {
  const made = new AbortController();
  return { signal: made.signal, abort: () => made.abort() };
}
