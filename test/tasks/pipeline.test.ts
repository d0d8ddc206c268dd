import { setImmediate as tick, setTimeout as wait } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AbortError } from '../../lib/errors.js';
import { groupNeighbours, mapOrdered } from '../../lib/tasks/pipeline.js';

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('mapOrdered', () => {
  test('keeps the order although later work ends first', async () => {
    const work = async (i: number) => {
      await wait((5 - (i % 5)) * 3);
      return i;
    };
    expect(await collect(mapOrdered(count(20), work, { limit: 4 }))).toEqual(count(20));
  });

  test('has exactly up to `limit` under way', async () => {
    let underWay = 0;
    let most = 0;
    const work = async (i: number) => {
      most = Math.max(most, ++underWay);
      await tick();
      underWay--;
      return i;
    };
    await collect(mapOrdered(count(30), work, { limit: 3 }));
    expect(most).toBe(3);
  });

  test('takes no more items than the reader has room for', async () => {
    let taken = 0;
    function* source() {
      for (;;) yield taken++;
    }
    const results = mapOrdered(source(), async (i) => i, { limit: 4 });
    await results.next();
    await wait(5);
    expect(taken).toBe(4);
    await results.return();
  });

  test('closes its source when the reader leaves', async () => {
    let closed = false;
    async function* source() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        closed = true;
      }
    }
    for await (const i of mapOrdered(source(), async (i) => i, { limit: 2 })) if (i === 3) break;
    expect(closed).toBe(true);
  });

  test('throws in the place of the item that failed, once, with nothing left unhandled', async () => {
    const given: number[] = [];
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    const work = async (i: number) => {
      if (i >= 2) throw new Error(`item ${i}`);
      await wait(5);
      return i;
    };
    const reading = (async () => {
      for await (const i of mapOrdered(count(10), work, { limit: 5 })) given.push(i);
    })();
    await expect(reading).rejects.toThrow('item 2');
    await wait(5);
    process.off('unhandledRejection', listener);
    expect(given).toEqual([0, 1]);
    expect(unhandled).toEqual([]);
  });

  test('an abort ends it before the next item', async () => {
    const controller = new AbortController();
    const given: number[] = [];
    const reading = (async () => {
      for await (const i of mapOrdered(count(10), async (i) => i, { limit: 2, signal: controller.signal })) {
        given.push(i);
        if (i === 3) controller.abort(new Error('enough'));
      }
    })();
    await expect(reading).rejects.toThrow(AbortError);
    await expect(reading).rejects.toMatchObject({ code: 'ABORT_ERR', cause: { message: 'enough' } });
    expect(given).toEqual([0, 1, 2, 3]);
  });
});

describe('groupNeighbours', () => {
  async function* letters(text: string) {
    yield* text;
  }
  const groups = async (text: string, size: number) => {
    const keyOf = (letter: string) => (letter === '-' ? undefined : letter);
    return (await collect(groupNeighbours(letters(text), size, keyOf))).map((group) => group.join(''));
  };

  test('cuts at the size and where the key changes', async () => {
    expect(await groups('aaaaabbc', 3)).toEqual(['aaa', 'aa', 'bb', 'c']);
  });

  test('items without a key go with any group and count', async () => {
    expect(await groups('-a-a-b--', 4)).toEqual(['-a-a', '-b--']);
    expect(await groups('a-b', 4)).toEqual(['a-', 'b']);
    expect(await groups('--', 4)).toEqual(['--']);
  });

  test('nothing gives nothing', async () => {
    expect(await groups('', 3)).toEqual([]);
  });
});
