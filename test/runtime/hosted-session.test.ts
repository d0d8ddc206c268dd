import { afterEach, describe, expect, test, vi } from 'vitest';
import { compileModel } from '../../lib/runtime/compile.js';
import {
  type HostedSession,
  hostSession,
  type RestartEvent,
} from '../../lib/runtime/hosted/hosted-session.js';
import { Tensor } from '../../lib/tensor.js';
import { pixels, tinyNetwork } from './tiny-network.js';

// Real processes, which are really killed.

const open: HostedSession[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(open.splice(0).map((session) => session.close()));
});

async function host(options: Parameters<typeof hostSession>[1] = {}): Promise<HostedSession> {
  const session = await hostSession(tinyNetwork, { device: 'cpu', ...options });
  open.push(session);
  return session;
}

const batch = (n = 2) => Tensor.fromUint8(pixels(n, 8, 8), [n, 8, 8, 3]);
/** On the reference device, long enough for a test to act meanwhile: a second or more. */
const slowBatch = () => Tensor.fromUint8(pixels(32, 256, 256), [32, 256, 256, 3]);

function kill(session: HostedSession): void {
  process.kill(session.pid as number, 'SIGKILL');
}

/** Kills its process and waits until it knows: a run of before may have been answered nevertheless. */
async function lose(session: HostedSession): Promise<void> {
  const { restarts } = session;
  kill(session);
  await vi.waitFor(() => expect(session.restarts).toBeGreaterThan(restarts), {
    timeout: 10_000,
    interval: 1,
  });
}

describe('a hosted session', () => {
  test('is what the session in this process is', async () => {
    const session = await host({ outputs: ['logits', 'avgpool'], maxBatch: 4 });
    await using own = await compileModel(tinyNetwork, {
      device: 'cpu',
      outputs: ['logits', 'avgpool'],
      maxBatch: 4,
    });
    for (const fact of ['device', 'dtype', 'maxBatch', 'contexts', 'channels', 'outputs', 'plan'] as const) {
      expect(session[fact], fact).toEqual(own[fact]);
    }
    const floats = Tensor.fromFloat32(new Float32Array(48).fill(0.3), [1, 3, 4, 4]);
    for (const input of [batch(), floats, [batch(), batch(1)]]) {
      expect(await session.run(input)).toEqual(await own.run(input));
    }
    expect(session.pid).not.toBe(process.pid);
  });

  test('has read the input when run returns', async () => {
    const session = await host();
    const input = batch();
    const expected = await session.run(input);
    const running = session.run(input);
    input.data.fill(0);
    expect(await running).toEqual(expected);
  });

  test('runs many at once', async () => {
    const session = await host();
    const expected = await session.run(batch());
    for (const result of await Promise.all(Array.from({ length: 20 }, () => session.run(batch())))) {
      expect(result).toEqual(expected);
    }
  });

  test('refuses wrong input here, and passes on what compile throws there', async () => {
    const session = await host({ maxBatch: 2 });
    await expect(session.run(batch(3))).rejects.toMatchObject({ code: 'INVALID_SHAPE' });
    await expect(hostSession(tinyNetwork, { outputs: ['nowhere'] })).rejects.toMatchObject({
      code: 'UNKNOWN_NODE',
    });
    await expect(hostSession(tinyNetwork, { maxRestarts: -1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  test('stops a run that is aborted', async () => {
    const session = await host({ device: 'reference' });
    const controller = new AbortController();
    const [first, second] = [session.run(slowBatch()), session.run(batch(), { signal: controller.signal })];
    controller.abort('reason');
    await expect(second).rejects.toMatchObject({ name: 'AbortError', cause: 'reason' });
    expect((await first).logits?.shape).toEqual([32, 5]);
  });

  test('close waits for runs under way, and ends the process', async () => {
    const session = await host({ device: 'reference' });
    const running = session.run(slowBatch());
    await session.close();
    expect((await running).logits?.shape).toEqual([32, 5]);
    expect(() => process.kill(session.pid as number, 0)).toThrow(/ESRCH/);
    await expect(session.run(batch())).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await session.close();
  });
});

describe('when its process is killed', () => {
  test('runs under way reject, later ones wait for the next process', async () => {
    const events: RestartEvent[] = [];
    const session = await host({ device: 'reference', onRestart: (event) => events.push(event) });
    const expected = await session.run(batch());
    const pid = session.pid;
    const lost = [session.run(slowBatch()), session.run(batch())];
    kill(session);
    for (const { status, reason } of (await Promise.allSettled(lost)) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toMatchObject({ code: 'DEVICE_LOST', message: expect.stringContaining('SIGKILL') });
    }
    expect(await session.run(batch())).toEqual(expected);
    expect(session.pid).not.toBe(pid);
    expect(session.restarts).toBe(1);
    expect(events).toMatchObject([{ restarts: 1, reason: { code: 'DEVICE_LOST' } }]);
  });

  test('a run that waits for the next process can be aborted, and close ends the waiting', async () => {
    const session = await host();
    const expected = await session.run(batch());
    await lose(session);
    const controller = new AbortController();
    const [aborted, kept] = [session.run(batch(), { signal: controller.signal }), session.run(batch())];
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    await session.close();
    expect(await kept).toEqual(expected);
  });

  test('it gives up after so many times in a row, and says why', async () => {
    const session = await host({ maxRestarts: 2 });
    // No process of Node's comes up with this.
    vi.stubEnv('NODE_OPTIONS', '--require /nowhere/nothing.cjs');
    await lose(session);
    const waiting = session.run(batch());
    await expect(waiting).rejects.toMatchObject({
      code: 'DEVICE_LOST',
      message: expect.stringMatching(/2 times in vain.*exit code 1.*nothing\.cjs/s),
    });
    await expect(session.run(batch())).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    expect(session.restarts).toBe(2);
    await session.close();
  });
});
