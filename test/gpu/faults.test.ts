import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { Bottleneck, ResNet, type Session, Tensor } from '../../lib/index.js';
import { gpu, whyNoGpu } from './gpu.js';

// What a GPU goes through in a server's life: all batch sizes, many runs at once, thousands of sessions, too much.

const MEBIBYTE = 1 << 20;

function pictures(n: number, seed = 1): Tensor {
  const data = new Uint8Array(n * 64 * 64 * 3);
  for (let i = 0; i < data.length; i++) data[i] = Math.imul(i + seed, 0x9e3779b9) >>> 24;
  return Tensor.fromUint8(data, [n, 64, 64, 3]);
}

const network = () => new ResNet(Bottleneck, [1, 1, 1, 1], { numClasses: 100 });

async function logitsOf(session: Session, images: Tensor): Promise<Float32Array> {
  return (await session.run(images)).logits?.data as Float32Array;
}

/** Of the whole GPU, as the driver counts. */
function usedBytes(): number {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '--id=0'];
  return Number(execFileSync('nvidia-smi', query, { encoding: 'utf8' })) * MEBIBYTE;
}

describe.skipIf(!gpu)(`a GPU in use ${whyNoGpu}`, () => {
  test('batches from 1 to 512 give each picture the same logits', async () => {
    const session = await network().compile({ device: 'cuda', dtype: 'float32', maxBatch: 512 });
    try {
      const alone = await logitsOf(session, pictures(1));
      const scale = Math.max(...alone.map(Math.abs));
      for (const n of [1, 2, 3, 7, 8, 9, 31, 32, 33, 64, 100, 128, 255, 256, 257, 500, 512]) {
        const first = (await logitsOf(session, pictures(n))).subarray(0, alone.length);
        const worst = Math.max(...first.map((value, i) => Math.abs(value - (alone[i] as number))));
        expect(worst / scale, `batch ${n}`).toBeLessThanOrEqual(1e-5); // other kernels, other orders of sums
      }
    } finally {
      await session.close();
    }
  });

  test('eight contexts at once do not mix up their runs', async () => {
    const session = await network().compile({ device: 'cuda', dtype: 'float16', maxBatch: 16, contexts: 8 });
    try {
      const batches = Array.from({ length: 16 }, (_, i) => pictures(1 + i, i));
      const expected: Float32Array[] = [];
      for (const batch of batches) expected.push(await logitsOf(session, batch));
      for (let round = 0; round < 20; round++) {
        const together = await Promise.all(batches.map((batch) => logitsOf(session, batch)));
        together.forEach((logits, i) => {
          expect(logits, `batch ${i}, round ${round}`).toEqual(expected[i]);
        });
      }
    } finally {
      await session.close();
    }
  });

  test('a thousand sessions leave nothing behind', async () => {
    const model = network();
    const cycle = async () => {
      const session = await model.compile({ device: 'cuda', dtype: 'float16', maxBatch: 4 });
      await session.run(pictures(2));
      await session.close();
    };
    for (let i = 0; i < 50; i++) await cycle(); // libraries load what they need, and keep it
    const before = usedBytes();
    for (let i = 0; i < 1000; i++) await cycle();
    expect(usedBytes() - before).toBeLessThanOrEqual(64 * MEBIBYTE);
  });

  test('what is too large is refused, and what fits goes on', async () => {
    const model = network();
    const session = await model
      .compile({ device: 'cuda', dtype: 'float32', maxBatch: 65_536 })
      .catch((error) => error);
    if (session instanceof Error) {
      expect(session).toMatchObject({ code: 'OUT_OF_MEMORY' });
    } else {
      await session.close();
    }
    const small = await model.compile({ device: 'cuda', dtype: 'float32', maxBatch: 2 });
    const huge = Tensor.allocate([1, 32_768, 32_768, 3], 'uint8'); // activations of hundreds of gigabytes
    try {
      await expect(small.run(huge)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
      expect(await logitsOf(small, pictures(2))).toHaveLength(200);
    } finally {
      await small.close();
    }
  });
});
