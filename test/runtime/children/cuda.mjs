// cuda.mjs SCENARIO: prints one JSON value, what became of sessions on a GPU that the environment simulates or breaks.

import { devices } from '../../../dist/runtime/devices.js';
import { hostSession } from '../../../dist/runtime/hosted/hosted-session.js';
import { createClassifier } from '../../../dist/tasks/classifier.js';
import { compile, images, smallNetwork } from './sessions.mjs';

const batch = images(2, 32);
const codeOf = (promise) =>
  promise.then(
    () => 'no error',
    (error) => error.code,
  );

/** The largest difference of the logits. */
async function difference(a, b) {
  const [x, y] = await Promise.all([a.run(batch), b.run(batch)]);
  return Math.max(...x.logits.data.map((value, i) => Math.abs(value - y.logits.data[i])));
}

const SCENARIOS = {
  async devices() {
    return (await devices()).filter(({ id }) => id.startsWith('cuda'));
  },

  async auto() {
    const session = await compile('auto');
    await session.run(batch);
    return { device: session.device, reason: session.deviceReason, contexts: session.contexts };
  },

  async 'the CPU without a look at CUDA'() {
    await (await compile('cpu')).run(batch);
    return process.report.getReport().sharedObjects.some((name) => name.includes('resnet_native_cuda'));
  },

  async 'two GPUs'() {
    const { device, contexts } = await compile(['cuda:0', 'cuda:1']);
    return { device, contexts };
  },

  async 'same results'() {
    const model = smallNetwork();
    const cpu = await model.compile({ device: 'cpu' });
    const differences = [];
    for (const device of ['cuda:0', ['cuda:0', 'cuda:1']]) {
      const session = await model.compile({ device });
      differences.push(await difference(cpu, session), await difference(cpu, session));
      await session.close();
    }
    return differences;
  },

  /** Runs until the device is lost; then everything on it is refused, and the CPU goes on. */
  async lost() {
    const session = await compile('cuda');
    let last;
    while (!(last instanceof Error)) last = await session.run(batch).catch((error) => error);
    const again = await codeOf(session.run(batch));
    const compiled = await codeOf(compile('cuda'));
    const fallback = await compile('auto');
    await fallback.run(batch);
    await session.close();
    return { first: last.code, again, compiled, device: fallback.device, reason: fallback.deviceReason };
  },

  async 'no decoder'() {
    const error = await createClassifier(smallNetwork(), { device: 'cuda', decode: 'device' }).catch(
      (caught) => caught,
    );
    return { code: error.code, message: error.message };
  },

  async 'no memory'() {
    const error = await compile('cuda').catch((caught) => caught);
    return { code: error.code, message: error.message };
  },

  /** Each process of the host loses its device after a while. */
  async hosted() {
    const reasons = [];
    const session = await hostSession(smallNetwork(), {
      device: 'cuda',
      onRestart: ({ reason }) => reasons.push(reason.code),
    });
    const first = (await session.run(batch)).logits.data.join();
    const outcomes = { same: 0, lost: 0, other: 0 };
    while (session.restarts < 3) {
      const result = await session.run(batch).catch((error) => error);
      if (result.code === 'DEVICE_LOST') outcomes.lost++;
      else if (result.logits?.data.join() === first) outcomes.same++;
      else outcomes.other++;
    }
    await session.close();
    return { ...outcomes, reasons };
  },

  async cycles() {
    for (let i = 0; i < 100; i++) {
      const session = await compile('cuda', { maxBatch: 2 });
      await session.run(batch);
      await session.close();
    }
    return 'done';
  },
};

console.log(JSON.stringify(await SCENARIOS[process.argv[2]]()));
