import { describe, expect, test } from 'vitest';
import { Batcher } from '../../lib/runtime/batcher.js';
import { DeviceTurns, type Share, Turns } from '../../lib/runtime/device-turns.js';
import { FakeSession, numbered, turn } from './fake-session.js';

/** Somebody who always wants another turn, each `ms` long. */
class Greedy {
  readonly share: Share;
  starts = 0;

  constructor(
    private readonly turns: Turns,
    private readonly ms: number,
    private readonly running: Greedy[],
  ) {
    this.share = turns.join(() => {
      this.starts++;
      this.running.push(this);
      return true;
    });
  }

  ask(): void {
    this.turns.ask(this.share);
  }

  finish(): void {
    this.running.splice(this.running.indexOf(this), 1);
    this.ask();
    this.turns.done(this.share, this.ms);
  }
}

describe('Turns', () => {
  test('time is shared out equally, however long each turn is', () => {
    const running: Greedy[] = [];
    const turns = new Turns(1);
    const [large, small] = [new Greedy(turns, 100, running), new Greedy(turns, 10, running)];
    large.ask();
    small.ask();
    for (let i = 0; i < 1100; i++) running[0]?.finish();
    expect(small.starts / large.starts).toBeCloseTo(10, 0);
  });

  test('who asked for nothing has saved nothing up', () => {
    const running: Greedy[] = [];
    const turns = new Turns(1);
    const [busy, late] = [new Greedy(turns, 10, running), new Greedy(turns, 10, running)];
    busy.ask();
    for (let i = 0; i < 100; i++) running[0]?.finish();
    late.ask();
    for (let i = 0; i < 20; i++) running[0]?.finish();
    expect(late.starts).toBeGreaterThanOrEqual(9);
    expect(late.starts).toBeLessThanOrEqual(11);
  });

  test('as many at once as there are slots; a turn that is not used goes on', () => {
    const turns = new Turns(2);
    const started: string[] = [];
    const join = (name: string, works: boolean) =>
      turns.join(() => {
        started.push(name);
        return works;
      });
    const [a, b, c, d] = [join('a', true), join('b', false), join('c', true), join('d', true)];
    for (const share of [a, b, c, d]) turns.ask(share as Share);
    expect(started).toEqual(['a', 'b', 'c']);
    turns.leave(d as Share);
    turns.done(a as Share, 1);
    expect(started).toEqual(['a', 'b', 'c']);
  });
});

describe('batchers that share turns', () => {
  test('one batch at a time on a device, and neither model waits for all of the other', async () => {
    const turns = new DeviceTurns();
    const sessions = [new FakeSession(), new FakeSession()] as const;
    const order: string[] = [];
    const [a, b] = sessions.map((session, i) => {
      session.onRun = () => order.push('ab'[i] as string);
      return new Batcher(session, { turns, maxBatch: 1 });
    }) as [Batcher, Batcher];
    const answers = [1, 2, 3, 4].map((id) => a.run(numbered(id)));
    await turn();
    answers.push(b.run(numbered(5)), b.run(numbered(6)));
    await turn();
    expect(order).toEqual(['a']);
    for (let done = 0; done < 6; done++) {
      sessions[order.at(-1) === 'a' ? 0 : 1].runs.at(-1)?.finish();
      await turn();
    }
    await Promise.all(answers);
    // The second model's first request came after four of the first's, and ran before three of them.
    expect(order.indexOf('b')).toBe(1);
    await Promise.all([a.close(), b.close()]);
  });
});

describe('a batcher over several sessions', () => {
  test('whichever is free takes what waits', async () => {
    const sessions = [new FakeSession(), new FakeSession()] as const;
    Object.assign(sessions[1], { device: 'cuda:1' });
    const batcher = new Batcher(sessions, { contexts: 1, maxBatch: 1 });
    const answers = [1, 2, 3].map((id) => batcher.run(numbered(id)));
    await turn();
    expect(sessions.map(({ runs }) => runs.length)).toEqual([1, 1]);
    sessions[1].runs[0]?.finish();
    await turn();
    expect(sessions.map(({ runs }) => runs.length)).toEqual([1, 2]);
    sessions[1].runs[1]?.finish();
    sessions[0].runs[0]?.finish();
    expect((await Promise.all(answers)).map(({ logits }) => logits?.data[0])).toEqual([1, 2, 3]);
    await batcher.close();
  });
});
