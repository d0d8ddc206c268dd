import { parentPort, workerData } from 'node:worker_threads';
import { attachSession } from '../../../dist/runtime/attach.js';
import { compile, images, slowBatch } from './sessions.mjs';

const { task, device, handle } = workerData;
const open = () => (handle === undefined ? compile(device) : attachSession(handle));

const TASKS = {
  /** Keeps several runs under way until it is terminated. */
  async busy() {
    const session = await open();
    parentPort.postMessage('running');
    const batch = slowBatch(device);
    for (;;) await Promise.all([session.run(batch), session.run(batch), session.profile(batch)]);
  },

  async exit() {
    const session = await open();
    session.run(slowBatch(device));
    session.run(slowBatch(device));
    process.exit(5);
  },

  /** Answers with a result, waits for a message, and answers again. */
  async answer() {
    const session = await open();
    const run = async () => Array.from((await session.run(images(2, 32))).logits.data);
    parentPort.postMessage(await run());
    await new Promise((resolve) => parentPort.once('message', resolve));
    parentPort.postMessage(await run());
    await session.close();
    const error = await session.run(images(2, 32)).catch((caught) => caught);
    parentPort.postMessage(error.code);
    parentPort.close();
  },
};

await TASKS[task]();
