import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import type { BatchReport } from '../../lib/runtime/batch-stats.js';
import { Batcher, type BatchRunOptions } from '../../lib/runtime/batcher.js';
import { Tensor } from '../../lib/tensor.js';
import { type FakeRun, FakeSession, numbered, turn } from './fake-session.js';

/** Runs one image whose number is `id`, and gives the number that came back. */
async function ask(batcher: Batcher, id: number, options?: BatchRunOptions): Promise<number[]> {
  const { logits } = await batcher.run(numbered(id), options);
  return [...(logits as Tensor).data];
}

const last = (session: FakeSession) => session.runs.at(-1) as FakeRun;

/** A batcher whose only context computes image 99 until `last(session)` is finished. */
async function busyBatcher(options = {}) {
  const session = new FakeSession();
  const batcher = new Batcher(session, options);
  const first = ask(batcher, 99);
  first.catch(() => undefined);
  await turn();
  return { session, batcher, first, blocking: last(session) };
}

describe('batches', () => {
  test('what is asked for in one turn of the event loop runs together, and each gets its own rows', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session);
    const answers = await Promise.all([
      batcher.run(numbered(1, 2)),
      batcher.run(numbered(10)),
      batcher.run(numbered(20, 3)),
    ]);
    expect(session.runs.map(({ ids }) => ids)).toEqual([[1, 2, 10, 20, 21, 22]]);
    expect(answers.map(({ logits }) => [...(logits as Tensor).data])).toEqual([[1, 2], [10], [20, 21, 22]]);
    expect(answers.map(({ logits }) => logits?.shape)).toEqual([
      [2, 1],
      [1, 1],
      [3, 1],
    ]);
  });

  test('results have memory of their own', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session);
    const [a, b] = await Promise.all([batcher.run(numbered(1)), batcher.run(numbered(2))]);
    expect(a.logits?.data.buffer).not.toBe(b.logits?.data.buffer);
  });

  test('a free context takes what waits, up to maxBatch, without a timer', async () => {
    const { session, batcher, first, blocking } = await busyBatcher({ maxBatch: 3 });
    const answers = Promise.all([1, 2, 3, 4, 5].map((id) => ask(batcher, id)));
    await turn();
    expect(session.runs).toHaveLength(1);
    expect(batcher.stats()).toMatchObject({ queued: 5, running: 1 });
    session.onRun = (run) => run.finish();
    blocking.finish();
    expect(await answers).toEqual([[1], [2], [3], [4], [5]]);
    expect(await first).toEqual([99]);
    expect(session.runs.map(({ ids }) => ids)).toEqual([[99], [1, 2, 3], [4, 5]]);
  });

  test('a request that does not fit lets smaller ones past, and is first in the next batch', async () => {
    const { session, batcher, blocking } = await busyBatcher({ maxBatch: 4 });
    const answers = Promise.all([
      batcher.run(numbered(10, 3)),
      batcher.run(numbered(20, 4)),
      batcher.run(numbered(30, 1)),
    ]);
    session.onRun = (run) => run.finish();
    await turn();
    blocking.finish();
    await answers;
    expect(session.runs.slice(1).map(({ ids }) => ids)).toEqual([
      [10, 11, 12, 30],
      [20, 21, 22, 23],
    ]);
  });

  test('sizes, types and layouts are kept apart, and lanes take turns', async () => {
    const { session, batcher, blocking } = await busyBatcher({ maxBatch: 2 });
    const uint8 = Tensor.fromUint8(Uint8Array.of(50, 0, 0), [1, 1, 1, 3]);
    const nhwc = Tensor.fromFloat32(Float32Array.of(60, 0, 0), [1, 1, 1, 3], { layout: 'NHWC' });
    const inputs = [1, 2, 3, 4].map((id) => numbered(id));
    inputs.push(numbered(40, 1, 2), uint8, nhwc);
    const answers = Promise.all(inputs.map((input) => batcher.run(input)));
    session.onRun = (run) => run.finish();
    await turn();
    blocking.finish();
    await answers;
    expect(session.runs.slice(1).map(({ ids }) => ids)).toEqual([[1, 2], [40], [50], [60], [3, 4]]);
  });

  test('as many batches run at once as there are contexts', async () => {
    const session = new FakeSession();
    const batcher = new Batcher(session, { contexts: 2, maxBatch: 1 });
    const answers = Promise.all([1, 2, 3].map((id) => ask(batcher, id)));
    await turn();
    expect(session.runs).toHaveLength(2);
    session.onRun = (run) => run.finish();
    for (const run of session.runs) run.finish();
    expect(await answers).toEqual([[1], [2], [3]]);
  });

  test('what gets ready between two looks at the clock is not forgotten', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session, { maxDelayMs: 10 });
    // When it came, just before it is ready, and from then on just after.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(10.001);
    clock.mockReturnValueOnce(0).mockReturnValueOnce(9.999);
    const answer = ask(batcher, 1);
    await turn();
    clock.mockRestore();
    expect(await answer).toEqual([1]);
  });

  test('maxDelayMs holds a batch that is not full, and no longer', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session, { maxDelayMs: 60, maxBatch: 3 });
    const started = performance.now();
    const first = ask(batcher, 1);
    await sleep(10);
    await Promise.all([first, ask(batcher, 2)]);
    expect(session.runs.map(({ ids }) => ids)).toEqual([[1, 2]]);
    expect(performance.now() - started).toBeGreaterThan(55);
    await Promise.all([3, 4, 5].map((id) => ask(batcher, id)));
    expect(session.runs.at(-1)?.ids).toEqual([3, 4, 5]);
  });

  test('a failed run fails the requests of its batch, and only those', async () => {
    const { session, batcher, blocking } = await busyBatcher({ maxBatch: 2 });
    const answers = Promise.allSettled([1, 2, 3].map((id) => ask(batcher, id)));
    const error = new Error('broken');
    session.onRun = (run) => (run.ids.includes(1) ? run.fail(error) : run.finish());
    await turn();
    blocking.finish();
    expect(await answers).toEqual([
      { status: 'rejected', reason: error },
      { status: 'rejected', reason: error },
      { status: 'fulfilled', value: [3] },
    ]);
    expect(batcher.stats().requests).toMatchObject({ completed: 2, failed: 2 });
  });

  test('a buffer that was detached while it waited fails its request alone', async () => {
    const { session, batcher, blocking } = await busyBatcher();
    const detached = numbered(1);
    const answers = Promise.allSettled([batcher.run(detached), ask(batcher, 2)]);
    structuredClone(detached.data, { transfer: [detached.data.buffer as ArrayBuffer] });
    session.onRun = (run) => run.finish();
    await turn();
    blocking.finish();
    expect(await answers).toMatchObject([
      { status: 'rejected', reason: { code: 'INVALID_ARGUMENT' } },
      { status: 'fulfilled', value: [2] },
    ]);
  });
});

describe('order and limits', () => {
  test('a larger priority goes first, equal ones in the order they came', async () => {
    const { session, batcher, blocking } = await busyBatcher({ maxBatch: 2 });
    const priorities = [0, 0, 5, -1, 5];
    const answers = Promise.all(priorities.map((priority, id) => ask(batcher, id, { priority })));
    session.onRun = (run) => run.finish();
    await turn();
    blocking.finish();
    await answers;
    expect(session.runs.slice(1).map(({ ids }) => ids)).toEqual([[2, 4], [0, 1], [3]]);
  });

  test('a full queue refuses with QUEUE_FULL', async () => {
    const { session, batcher, blocking } = await busyBatcher({ maxQueue: 2 });
    const answers = Promise.all([ask(batcher, 1), ask(batcher, 2)]);
    await expect(ask(batcher, 3)).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    session.onRun = (run) => run.finish();
    blocking.finish();
    expect(await answers).toEqual([[1], [2]]);
    expect(batcher.stats().requests.refused).toBe(1);
  });

  test('a deadline ends the wait, and the request leaves the queue', async () => {
    const { session, batcher, blocking, first } = await busyBatcher();
    await expect(ask(batcher, 1, { deadlineMs: 5 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(batcher.stats()).toMatchObject({ queued: 0, requests: { expired: 1 } });
    blocking.finish();
    await first;
    await turn();
    expect(session.runs).toHaveLength(1);
  });
});

describe('cancelling', () => {
  test('what waits leaves before its batch runs', async () => {
    const { session, batcher, blocking } = await busyBatcher();
    const controller = new AbortController();
    const cancelled = ask(batcher, 1, { signal: controller.signal });
    const kept = ask(batcher, 2);
    controller.abort('gone');
    await expect(cancelled).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'gone' });
    session.onRun = (run) => run.finish();
    blocking.finish();
    expect(await kept).toEqual([2]);
    expect(last(session).ids).toEqual([2]);
  });

  test('a batch goes on while somebody waits for it, and is cancelled when nobody does', async () => {
    const session = new FakeSession();
    const batcher = new Batcher(session);
    const controllers = [new AbortController(), new AbortController()];
    const answers = controllers.map(({ signal }, id) => ask(batcher, id, { signal }));
    const settled = Promise.allSettled(answers);
    await turn();
    controllers[0]?.abort();
    expect(last(session).signal?.aborted).toBe(false);
    controllers[1]?.abort();
    expect(last(session).signal?.aborted).toBe(true);
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await turn();
    expect(batcher.stats()).toMatchObject({ running: 0, requests: { cancelled: 2 } });
  });

  test('an aborted signal refuses at once', async () => {
    const batcher = new Batcher(new FakeSession());
    await expect(ask(batcher, 1, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(batcher.stats().queued).toBe(0);
  });
});

describe('close', () => {
  test('answers all that was accepted, then resolves; later requests are refused', async () => {
    const { session, batcher, blocking, first } = await busyBatcher();
    const waiting = ask(batcher, 1);
    const closing = batcher.close();
    await expect(ask(batcher, 2)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    let closed = false;
    void closing.then(() => {
      closed = true;
    });
    await turn();
    expect(closed).toBe(false);
    session.onRun = (run) => run.finish();
    blocking.finish();
    expect(await first).toEqual([99]);
    expect(await waiting).toEqual([1]);
    await closing;
    await batcher.close();
  });

  test('does not wait for batches to fill', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session, { maxDelayMs: 60_000 });
    const waiting = ask(batcher, 1);
    await batcher.close();
    expect(await waiting).toEqual([1]);
  });

  test('an idle batcher closes at once', async () => {
    await new Batcher(new FakeSession()).close();
  });
});

describe('arguments and stats', () => {
  test.each([
    [{ maxBatch: 0 }, /maxBatch/],
    [{ maxBatch: 9 }, /from 1 to 8 for maxBatch/],
    [{ maxQueue: 0 }, /maxQueue/],
    [{ maxDelayMs: -1 }, /maxDelayMs/],
    [{ contexts: 0 }, /contexts/],
    [{ onBatch: 1 as never }, /onBatch/],
  ])('the options %j are refused', (options, message) => {
    expect(() => new Batcher(new FakeSession(), options)).toThrow(message);
  });

  test.each([
    [numbered(1, 9), {}, 'INVALID_SHAPE'],
    [Tensor.fromFloat32(new Float32Array(3), [3]), {}, 'INVALID_SHAPE'],
    [Tensor.fromFloat32(new Float32Array(2), [1, 2, 1, 1]), {}, 'INVALID_SHAPE'],
    [numbered(1), { deadlineMs: 0 }, 'INVALID_ARGUMENT'],
    [numbered(1), { priority: Number.NaN }, 'INVALID_ARGUMENT'],
    [numbered(1), { signal: {} as never }, 'INVALID_ARGUMENT'],
  ])('a request that cannot run is refused at once: %#', async (tensor, options, code) => {
    const batcher = new Batcher(new FakeSession());
    await expect(batcher.run(tensor, options)).rejects.toMatchObject({ code });
    expect(batcher.stats().queued).toBe(0);
  });

  test('stats add up, and onBatch is told of every batch', async () => {
    const reports: BatchReport[] = [];
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session, { onBatch: (report) => reports.push(report) });
    await Promise.all([1, 2, 3].map((id) => ask(batcher, id)));
    await ask(batcher, 4);
    await turn();
    expect(reports.map(({ rows, queueMs, failed }) => [rows, queueMs.length, failed])).toEqual([
      [3, 3, false],
      [1, 1, false],
    ]);
    const stats = batcher.stats();
    expect(stats).toMatchObject({ batches: 2, rows: 4, requests: { completed: 4, failed: 0 } });
    expect([...stats.batchSizes].map(([rows, { count }]) => [rows, count])).toEqual([
      [3, 1],
      [1, 1],
    ]);
    expect(stats.queueTime.count).toBe(4);
    expect(stats.computeTime.totalMs).toBeCloseTo(
      reports.reduce((sum, { computeMs }) => sum + computeMs, 0),
      6,
    );
  });
});

describe('what goes wrong behind a batch that ran', () => {
  /** What a listener throws must be heard: as an uncaught exception, which here would end the tests. */
  function uncaught(): { errors: unknown[] } & Disposable {
    const errors: unknown[] = [];
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => errors.push(error));
    const restore = () => {
      process.removeAllListeners('uncaughtException');
      for (const listener of before) process.on('uncaughtException', listener);
    };
    return { errors, [Symbol.dispose]: restore };
  }

  test('a listener that throws keeps nobody from being answered, and is an uncaught exception', async () => {
    using caught = uncaught();
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const boom = () => {
      throw new Error('boom');
    };
    const batcher = new Batcher(session, { onBatch: boom });
    expect(await Promise.all([ask(batcher, 1, { onRun: boom }), ask(batcher, 2)])).toEqual([[1], [2]]);
    await turn();
    expect(caught.errors).toMatchObject([{ message: 'boom' }, { message: 'boom' }]);
    expect(await ask(batcher, 3)).toEqual([3]);
    await batcher.close();
  });

  test('results for which there is no memory fail their request, and no other', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.finish();
    const batcher = new Batcher(session);
    using slice = vi.spyOn(Float32Array.prototype, 'slice');
    slice.mockImplementationOnce(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    const answers = await Promise.allSettled([ask(batcher, 1), ask(batcher, 2)]);
    expect(answers).toMatchObject([{ reason: { code: 'OUT_OF_MEMORY' } }, { value: [2] }]);
    expect(batcher.stats().requests).toMatchObject({ completed: 1, failed: 1 });
    await batcher.close();
  });

  test('batches that fail are no part of what was computed', async () => {
    const session = new FakeSession();
    session.onRun = (run) => run.fail(new Error('injected'));
    const batcher = new Batcher(session);
    await expect(ask(batcher, 1)).rejects.toThrow('injected');
    expect(batcher.stats()).toMatchObject({ batches: 0, rows: 0, requests: { failed: 1 } });
    session.onRun = (run) => run.finish();
    await Promise.all([ask(batcher, 2), ask(batcher, 3), ask(batcher, 4)]);
    const { batches, rows, computeTime, requestComputeTime } = batcher.stats();
    expect({ batches, rows }).toEqual({ batches: 1, rows: 3 });
    expect(requestComputeTime.count).toBe(3);
    expect(requestComputeTime.totalMs).toBeCloseTo(3 * computeTime.totalMs, 6);
  });
});
