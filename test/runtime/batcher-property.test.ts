import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../lib/bench/random.js';
import { Batcher, type BatchRunOptions } from '../../lib/runtime/batcher.js';
import { compileModel } from '../../lib/runtime/compile.js';
import { DeviceTurns } from '../../lib/runtime/device-turns.js';
import { Tensor } from '../../lib/tensor.js';
import { FakeSession, numbered, turn } from './fake-session.js';
import { CLASSES, expected, normalized, pixels, tinyNetwork } from './tiny-network.js';

const CODES = ['ABORT_ERR', 'DEADLINE_EXCEEDED', 'QUEUE_FULL', 'SESSION_CLOSED', 'INTERNAL'];

interface Tally {
  settled: number;
  readonly codes: Record<string, number>;
}

/**
 * Sends `count` requests at random times with random cancels and deadlines, closes the batcher somewhere in between,
 * and checks that each settles exactly once: with its own rows, or with an error that can be.
 */
async function storm(
  batcher: Batcher,
  next: () => number,
  count: number,
  request: (i: number) => { tensor: Tensor; check: (logits: Float32Array) => void },
): Promise<Tally> {
  const tally: Tally = { settled: 0, codes: {} };
  const closeAt = Math.floor(count * (0.7 + 0.3 * next()));
  const all: Promise<void>[] = [];
  let closing: Promise<void> | undefined;
  for (let i = 0; i < count; i++) {
    if (i === closeAt) closing = batcher.close();
    const { tensor, check } = request(i);
    const controller = new AbortController();
    const options: BatchRunOptions = {
      priority: Math.floor(next() * 3),
      ...(next() < 0.3 && { signal: controller.signal }),
      ...(next() < 0.2 && { deadlineMs: 0.1 + next() * 8 }),
    };
    if (options.signal) setTimeout(() => controller.abort(), next() * 6);
    const settle = batcher.run(tensor, options).then(
      ({ logits }) => {
        check(logits?.data as Float32Array);
        tally.codes.ok = (tally.codes.ok ?? 0) + 1;
      },
      ({ code }: { code: string }) => {
        expect(CODES).toContain(code);
        tally.codes[code] = (tally.codes[code] ?? 0) + 1;
      },
    );
    all.push(settle.finally(() => tally.settled++));
    if (next() < 0.2) await sleep(next() * 3);
  }
  await closing;
  await turn();
  expect(tally.settled).toBe(count);
  await Promise.all(all);
  return tally;
}

describe('every request settles exactly once, with its own rows', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('fake session, seed %i', async (seed) => {
    const next = seededRandom(seed);
    const session = new FakeSession(4);
    const seen = new Set<number>();
    session.onRun = (run) => {
      expect(run.ids.length).toBeLessThanOrEqual(4);
      for (const id of run.ids) {
        expect(seen.has(id)).toBe(false);
        seen.add(id);
      }
      const failing = next() < 0.1;
      const error = Object.assign(new Error('injected'), { code: 'INTERNAL' });
      setTimeout(() => (failing ? run.fail(error) : run.finish()), next() * 4);
    };
    const batcher = new Batcher(session, {
      maxQueue: 1 + Math.floor(next() * 30),
      maxDelayMs: next() < 0.3 ? 2 : 0,
      contexts: 1 + Math.floor(next() * 2),
    });
    const tally = await storm(batcher, next, 250, (i) => {
      const rows = 1 + Math.floor(next() * 3);
      const ids = Array.from({ length: rows }, (_, row) => i * 10 + row);
      const tensor = numbered(i * 10, rows, 1 + Math.floor(next() * 2));
      return { tensor, check: (logits) => expect([...logits]).toEqual(ids) };
    });
    expect(tally.codes.ok).toBeGreaterThan(0);
    const { requests, queued, running } = batcher.stats();
    expect({ queued, running }).toEqual({ queued: 0, running: 0 });
    expect(requests.completed).toBe(tally.codes.ok);
    expect(requests.refused).toBe(tally.codes.QUEUE_FULL ?? 0);
    expect(requests.expired).toBe(tally.codes.DEADLINE_EXCEEDED ?? 0);
  });

  test.each([21, 22, 23, 24])('two models that take turns on a device, seed %i', async (seed) => {
    const next = seededRandom(seed);
    const turns = new DeviceTurns(1 + Math.floor(next() * 2));
    let running = 0;
    let most = 0;
    const storms = [0, 1].map((model) => {
      const session = new FakeSession(4);
      session.onRun = (run) => {
        most = Math.max(most, ++running);
        const failing = next() < 0.1;
        const error = Object.assign(new Error('injected'), { code: 'INTERNAL' });
        // It ends by its time or, if nobody waits for it any more, by its signal.
        const end = () => {
          clearTimeout(timer);
          run.signal?.removeEventListener('abort', end);
          running--;
          if (failing) run.fail(error);
          else run.finish();
        };
        const timer = setTimeout(end, next() * 4);
        run.signal?.addEventListener('abort', end, { once: true });
      };
      const batcher = new Batcher(session, { turns, maxQueue: 20 });
      return storm(batcher, next, 150, (i) => {
        const id = 10 * i + 5 * model;
        return { tensor: numbered(id), check: (logits) => expect([...logits]).toEqual([id]) };
      });
    });
    for (const { codes } of await Promise.all(storms)) expect(codes.ok).toBeGreaterThan(0);
    expect(most).toBe(turns.of('cpu').slots);
  });

  test.each([11, 12])('real session, seed %i', async (seed) => {
    const next = seededRandom(seed);
    const session = await compileModel(tinyNetwork, { device: 'cpu', threads: 1, maxBatch: 8 });
    const batcher = new Batcher(session, { maxQueue: 64 });
    const tally = await storm(batcher, next, 300, () => {
      const [rows, side] = [1 + Math.floor(next() * 3), 2 + Math.floor(next() * 3)];
      const data = pixels(rows, side, side).map((value) => (value + Math.floor(next() * 256)) % 256);
      const tensor = Tensor.fromUint8(data, [rows, side, side, 3]);
      const size = side * side * 3;
      const want = Array.from(
        { length: rows },
        (_, row) => expected(normalized(data.subarray(row * size, (row + 1) * size))).logits,
      ).flat();
      return {
        tensor,
        check: (logits) => {
          expect(logits).toHaveLength(rows * CLASSES);
          for (const [i, value] of want.entries()) expect(logits[i]).toBeCloseTo(value, 4);
        },
      };
    });
    expect(tally.codes.ok).toBeGreaterThan(100);
    const stats = batcher.stats();
    expect(stats.batches).toBeLessThan(stats.requests.completed);
    await session.close();
  });
});

interface Waiting {
  readonly id: number;
  readonly size: number;
  readonly priority: number;
}

describe('order', () => {
  test.each([31, 32, 33, 34, 35, 36])(
    'larger priorities first, then who came first, and sizes take turns: seed %i',
    async (seed) => {
      const next = seededRandom(seed);
      const session = new FakeSession(1 + Math.floor(next() * 5));
      // What waits, in the order in which it came.
      let waiting: Waiting[] = [];
      let passedOver: number | undefined;
      let batches = 0;
      const laneOf = (size: number) =>
        waiting.filter((it) => it.size === size).sort((a, b) => b.priority - a.priority || a.id - b.id);
      session.onRun = (run) => {
        batches++;
        const size = run.shape[2] as number;
        const lane = laneOf(size);
        expect(run.ids).toEqual(lane.slice(0, run.ids.length).map(({ id }) => id));
        const other = laneOf(3 - size)[0];
        const first = lane[0] as Waiting;
        if (other) expect(first.priority).toBeGreaterThanOrEqual(other.priority);
        const isTie = other?.priority === first.priority;
        // A size that had to let the other one past at the same priority is next.
        if (isTie) expect(passedOver).not.toBe(3 - size);
        passedOver = isTie ? 3 - size : undefined;
        waiting = waiting.filter(({ id }) => !run.ids.includes(id));
        setTimeout(() => run.finish(), next() * 3);
      };
      const batcher = new Batcher(session, { maxQueue: 1000 });
      const all: Promise<unknown>[] = [];
      for (let id = 0; id < 300; id++) {
        const [size, priority] = [1 + Math.floor(next() * 2), Math.floor(next() * 3)];
        const controller = new AbortController();
        const run = batcher.run(numbered(id, 1, size), { priority, signal: controller.signal });
        run.catch(() => undefined);
        all.push(run);
        waiting.push({ id, size, priority });
        if (next() < 0.15) {
          setTimeout(() => {
            controller.abort();
            waiting = waiting.filter((it) => it.id !== id);
          }, next() * 5);
        }
        if (next() < 0.15) await sleep(next() * 4);
      }
      const results = await Promise.allSettled(all);
      // What the checks above found went to those whose batch it was.
      const errors = results.flatMap((it) => (it.status === 'rejected' ? [it.reason] : []));
      for (const error of errors) expect(error).toMatchObject({ code: 'ABORT_ERR' });
      expect(waiting).toEqual([]);
      expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(150);
      expect(batches).toBeGreaterThan(30);
      await batcher.close();
    },
  );
});
