import { type Cell, keyOf } from './results.js';

/**
 * Profiled cells as a Chrome trace (chrome://tracing, Perfetto): a process for each cell, and in it one run as a row of
 * steps.
 */
export function traceEvents(cells: readonly Cell[]): object {
  const traceEvents = cells.flatMap((cell, index) => {
    const pid = index + 1;
    let microseconds = 0;
    const steps = (cell.layers ?? []).map(({ name, op, kernel, ms, macs, bytes }) => {
      const ts = microseconds;
      const dur = 1000 * ms;
      microseconds += dur;
      return { name, cat: op, ph: 'X', pid, tid: 1, ts, dur, args: { kernel, macs, bytes } };
    });
    return [{ name: 'process_name', ph: 'M', pid, tid: 1, args: { name: keyOf(cell) } }, ...steps];
  });
  return { traceEvents, displayTimeUnit: 'ms' };
}
