const AT_ONCE = 64;

/** Waits for `use` of each item, a few of them at once. */
export async function inTurns<T>(items: readonly T[], use: (item: T) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < items.length; i += AT_ONCE) await Promise.all(items.slice(i, i + AT_ONCE).map(use));
}
