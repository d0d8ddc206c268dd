import { setImmediate } from 'node:timers/promises';
import { Tensor, type TensorData } from '../tensor.js';

// A millisecond's copying, on a machine that computes meanwhile.
const BYTES_A_TURN = 4e6;

/**
 * Memory of `Tensor.allocate` that batches are assembled in, kept from one batch to the next: fresh memory would cost a
 * page fault every 4 KB and wait for the garbage collector.
 */
export class BatchMemory {
  readonly #free: ArrayBufferLike[] = [];

  /** @param keep how many buffers to hold on to. */
  constructor(private readonly keep: number) {}

  /**
   * The rows of all tensors, which are alike but for their number, as one batch. Give it back when it has run. Large
   * batches are copied in parts, between which the event loop turns.
   */
  async assemble(tensors: readonly [Tensor, ...Tensor[]]): Promise<Tensor> {
    const [{ dtype, layout, shape: first }] = tensors;
    const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
    const batch = this.#tensor([rows, ...first.slice(1)], dtype, layout);
    let offset = 0;
    let copied = 0;
    for (const { data } of tensors) {
      if (copied > BYTES_A_TURN) {
        await setImmediate();
        copied = 0;
      }
      batch.data.set(data, offset);
      offset += data.length;
      copied += data.byteLength;
    }
    return batch;
  }

  giveBack(batch: Tensor): void {
    if (this.#free.length < this.keep) this.#free.push(batch.data.buffer);
  }

  #tensor(shape: readonly number[], dtype: Tensor['dtype'], layout: Tensor['layout']): Tensor {
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = count * (dtype === 'uint8' ? 1 : 4);
    const buffer = this.#free.pop();
    // One that is too small is let go: the larger one takes its place when it is given back.
    if (buffer === undefined || buffer.byteLength < bytes) return Tensor.allocate(shape, dtype, { layout });
    const data: TensorData =
      dtype === 'uint8' ? new Uint8Array(buffer, 0, count) : new Float32Array(buffer, 0, count);
    return data instanceof Uint8Array
      ? Tensor.fromUint8(data, shape)
      : Tensor.fromFloat32(data, shape, { layout });
  }
}
