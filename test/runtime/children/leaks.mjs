// leaks.mjs SCENARIO DEVICE, with --expose-gc: prints by how many MiB the process grew over many cycles.

import { setImmediate as turn } from 'node:timers/promises';
import { Tensor } from '../../../dist/tensor.js';
import { compile, images } from './sessions.mjs';

const [scenario, device] = process.argv.slice(2);

async function residentMiB() {
  // Finalisers of buffers run in later turns of the event loop, and free more.
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await turn();
  }
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Growth over `cycles`, after a warm-up that fills pools and caches. */
async function growth(cycles, cycle) {
  for (let i = 0; i < cycles / 5; i++) await cycle(i);
  const before = await residentMiB();
  for (let i = 0; i < cycles; i++) await cycle(i);
  return (await residentMiB()) - before;
}

const SCENARIOS = {
  async runs() {
    const session = await compile(device);
    const batch = images(2, 8);
    return growth(3000, () => session.run(batch));
  },

  async 'refused and aborted runs'() {
    const session = await compile(device);
    const batch = images(2, 8);
    return growth(2000, async () => {
      const controller = new AbortController();
      const runs = [session.run(batch, { signal: controller.signal }), session.run(images(1, 8).data)];
      controller.abort();
      await Promise.allSettled(runs);
    });
  },

  async 'compile and close'() {
    const batch = images(1, 8);
    return growth(200, async () => {
      const session = await compile(device);
      await session.run(batch);
      await session.close();
    });
  },

  async 'sessions that nobody closes'() {
    const batch = images(1, 8);
    return growth(200, async () => {
      await (await compile(device)).run(batch);
      globalThis.gc();
    });
  },

  async 'allocated tensors'() {
    const session = await compile(device);
    return growth(2000, () => session.run(Tensor.allocate([1, 8, 8, 3], 'uint8')));
  },

  /** 8 MiB each, so that only garbage collection that knows of them keeps up: no call of gc() in between. */
  async 'large results'() {
    const session = await compile(device, { outputs: ['conv1'] });
    const batch = images(8, 128);
    let most = 0;
    for (let i = 0; i < 300; i++) {
      await session.run(batch);
      most = Math.max(most, process.memoryUsage.rss() / 2 ** 20);
    }
    return most - (await residentMiB());
  },
};

console.log(await SCENARIOS[scenario]());
process.exit();
