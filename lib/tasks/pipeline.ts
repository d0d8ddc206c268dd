import { throwIfAborted } from '../errors.js';

// Stages of a pipeline are async generators, chained by handing one to the next. Each holds a bounded number of items
// and works ahead of whoever reads it, so that one stage's work overlaps the next one's and memory stays bounded.

/**
 * Applies `work` to every item, up to `limit` of them under way at once, and yields the results in the items' order.
 *
 * Throws what `source` throws, as soon as it does, and what `work` throws, in the place of that item. Work that is
 * under way when it ends, or when the reader leaves, goes on unobserved.
 * @param options.signal ends it with AbortError before the next item is taken or given.
 */
export async function* mapOrdered<Item, Result>(
  source: Iterable<Item> | AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  options: { limit: number; signal?: AbortSignal | undefined },
): AsyncGenerator<Result, void, undefined> {
  const underWay: Promise<Result>[] = [];
  const next = async () => {
    const result = await (underWay.shift() as Promise<Result>);
    throwIfAborted(options.signal);
    return result;
  };
  for await (const item of source) {
    throwIfAborted(options.signal);
    const result = work(item);
    // Whoever awaits it sees the error. Until then it must not count as unhandled, which would end the process.
    result.catch(() => undefined);
    underWay.push(result);
    if (underWay.length >= options.limit) yield await next();
  }
  while (underWay.length > 0) yield await next();
}

/**
 * Cuts a sequence into groups of up to `size` neighbours that have the same key. Items without a key (undefined) go with
 * any group.
 */
export async function* groupNeighbours<Item>(
  source: AsyncIterable<Item>,
  size: number,
  keyOf: (item: Item) => string | undefined,
): AsyncGenerator<Item[], void, undefined> {
  let group: Item[] = [];
  let groupKey: string | undefined;
  for await (const item of source) {
    const key = keyOf(item);
    const fits = key === undefined || groupKey === undefined || key === groupKey;
    if (group.length >= size || !fits) {
      yield group;
      group = [];
      groupKey = undefined;
    }
    group.push(item);
    groupKey ??= key;
  }
  if (group.length > 0) yield group;
}
