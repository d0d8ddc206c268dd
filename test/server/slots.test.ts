import { expect, test } from 'vitest';
import { Slots } from '../../lib/server/slots.js';
import { turn } from '../runtime/fake-session.js';

test('so many work at a time, in their order; those that fail make room too', async () => {
  const slots = new Slots(2);
  const ends: (() => void)[] = [];
  const started: number[] = [];
  const use = (id: number) =>
    slots.use(() => {
      started.push(id);
      return new Promise<number>((resolve, reject) => {
        ends[id] = id % 2 === 0 ? () => resolve(id) : () => reject(new Error(String(id)));
      });
    });
  const all = Promise.allSettled([0, 1, 2, 3, 4].map(use));
  await turn();
  expect(started).toEqual([0, 1]);
  ends[1]?.();
  await turn();
  expect(started).toEqual([0, 1, 2]);
  ends[0]?.();
  ends[2]?.();
  await turn();
  expect(started).toEqual([0, 1, 2, 3, 4]);
  ends[3]?.();
  ends[4]?.();
  expect((await all).map(({ status }) => status)).toEqual(
    [0, 1, 2, 3, 4].map((id) => (id % 2 === 0 ? 'fulfilled' : 'rejected')),
  );
  // Free again, both of them.
  const last = Promise.all([use(6), use(8)]);
  await turn();
  expect(started.slice(5)).toEqual([6, 8]);
  ends[6]?.();
  ends[8]?.();
  expect(await last).toEqual([6, 8]);
});
