// lifecycle.mjs SCENARIO DEVICE: ends as the scenario says, and on standard output says what it saw.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const [scenario, device] = process.argv.slice(2);
const ROUNDS = 12;

const start = (task, handle) =>
  new Worker(new URL('worker.mjs', import.meta.url), { workerData: { task, device, handle } });
// Loaded only by the scenarios that need the addon in the main thread.
const sessions = () => import('./sessions.mjs');

const SCENARIOS = {
  async 'an idle session'() {
    const { compile } = await sessions();
    await compile(device);
    console.log('open');
  },

  async 'a run under way'() {
    const { compile, slowBatch } = await sessions();
    const session = await compile(device);
    session.run(slowBatch(device)).then(({ logits }) => console.log('done', ...logits.shape));
  },

  async 'process.exit'() {
    const { compile, slowBatch } = await sessions();
    const session = await compile(device);
    for (let i = 0; i < 4; i++) session.run(slowBatch(device));
    await sleep(30);
    process.exit(7);
  },

  async 'process.exit during compile'() {
    const { compile } = await sessions();
    for (let i = 0; i < 4; i++) compile(device);
    setImmediate(() => process.exit(7));
  },

  async 'an uncaught error'() {
    const { compile, slowBatch } = await sessions();
    const session = await compile(device);
    session.run(slowBatch(device));
    setTimeout(() => {
      throw new Error('uncaught');
    }, 30);
  },

  async 'process.exit with busy workers'() {
    const workers = [start('busy'), start('busy')];
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    await sleep(30);
    process.exit(7);
  },

  async 'workers terminated'() {
    for (let round = 0; round < ROUNDS; round++) {
      const workers = [start('busy'), start('busy')];
      // Some are terminated while they load or compile, others at some point of their runs.
      if (round % 3 > 0) await Promise.all(workers.map((worker) => once(worker, 'message')));
      await sleep(round * 9);
      await Promise.all(workers.map((worker) => worker.terminate()));
    }
    console.log('terminated');
  },

  async 'workers that exit'() {
    for (let round = 0; round < ROUNDS; round++) {
      const [code] = await once(start('exit'), 'exit');
      console.log(code);
    }
  },

  async 'attached workers terminated'() {
    const { compile, images } = await sessions();
    const session = await compile(device, { contexts: 2 });
    const before = await session.run(images(2, 32));
    for (let round = 0; round < ROUNDS; round++) {
      const worker = start('busy', session.handle);
      await once(worker, 'message');
      const running = session.run(images(2, 32));
      await sleep(round * 9);
      await worker.terminate();
      const after = await running;
      if (after.logits.data.some((value, i) => value !== before.logits.data[i]))
        throw new Error('other results');
    }
    await session.close();
    console.log('closed');
  },

  async 'a session shared by threads'() {
    const { compile, images } = await sessions();
    const { attachSession } = await import('../../../dist/runtime/attach.js');
    const session = await compile(device);
    const { handle } = session;
    const worker = start('answer', handle);
    const messages = [];
    worker.on('message', (message) => messages.push(message));
    await once(worker, 'message');
    const mine = Array.from((await session.run(images(2, 32))).logits.data);
    await session.close();
    worker.postMessage('go on');
    await once(worker, 'exit');
    const [first, second, code] = messages;
    console.log(String(first) === String(mine), String(second) === String(mine), code);
    try {
      attachSession(handle);
    } catch (error) {
      console.log(error.code);
    }
  },
};

await SCENARIOS[scenario]();
