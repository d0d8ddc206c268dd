import { AbortError } from '../../lib/errors.js';
import type { BatchInput } from '../../lib/runtime/batch-input.js';
import type { BatchSession } from '../../lib/runtime/batcher.js';
import type { Results, RunOptions } from '../../lib/runtime/session.js';
import { Tensor } from '../../lib/tensor.js';

/** One run that a fake session was asked for; it ends when the test says so. */
export interface FakeRun {
  readonly shape: readonly number[];
  readonly dtype: string;
  /** The first value of each row, which is also its result. */
  readonly ids: number[];
  readonly signal: AbortSignal | undefined;
  finish(): void;
  fail(error: Error): void;
}

/** A session whose result for a row is the row's first value, and whose runs end when the test lets them. */
export class FakeSession implements BatchSession {
  readonly maxBatch: number;
  readonly channels = 3;
  readonly device: string = 'cpu';
  readonly runs: FakeRun[] = [];
  /** Called for each run as it starts. */
  onRun: (run: FakeRun) => void = () => undefined;

  constructor(maxBatch = 8) {
    this.maxBatch = maxBatch;
  }

  run(input: BatchInput, { signal }: RunOptions = {}): Promise<Results> {
    const tensors = [input].flat() as Tensor[];
    const ids = tensors.flatMap(firstValues);
    const rows = ids.length;
    const [{ shape: first, dtype }] = tensors as [Tensor];
    const shape = [rows, ...first.slice(1)];
    return new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new AbortError(signal.reason)), { once: true });
      const finish = () => resolve({ logits: Tensor.fromFloat32(Float32Array.from(ids), [rows, 1]) });
      const run = { shape, dtype, ids, signal, finish, fail: reject };
      this.runs.push(run);
      this.onRun(run);
    });
  }
}

/** Of each row. */
function firstValues({ data, shape }: Tensor): number[] {
  const rows = shape[0] as number;
  return Array.from({ length: rows }, (_, i) => data[(i * data.length) / rows] as number);
}

/** Rows that begin with `id`, `id + 1`, …; float32 [rows, 3, size, size]. */
export function numbered(id: number, rows = 1, size = 1): Tensor {
  const data = new Float32Array(rows * 3 * size * size);
  for (let row = 0; row < rows; row++) data[row * 3 * size * size] = id + row;
  return Tensor.fromFloat32(data, [rows, 3, size, size]);
}

/** Until everything that was planned for this turn of the event loop has happened. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
