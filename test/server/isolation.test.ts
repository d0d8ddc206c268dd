import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkBuild } from '../cli/run-cli.js';
import { expected, normalized, pixels, tinyNetwork } from '../runtime/tiny-network.js';
import { answer, start } from './start.js';

// Models in processes of their own, as those on GPUs are; here the CPU stands for the device, and a kill for its fault.

const PIXELS = pixels(1, 2, 2);
const one = { inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3], data: [...PIXELS] }] };
const WANT = expected(normalized(PIXELS)).logits;

beforeAll(checkBuild);

/** Processes that this one started and that hold sessions. */
function hosts(): number[] {
  const list = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  return list
    .split('\n')
    .filter((line) => line.includes('hosted/child'))
    .map((line) => Number.parseInt(line, 10));
}

function killHosts(): void {
  for (const pid of hosts()) process.kill(pid, 'SIGKILL');
}

describe('a device that is lost', () => {
  test('answers go on from a new process, and the server lives through it', async () => {
    const lines: string[] = [];
    const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } };
    const { url, infer } = await start({
      models: { tiny: { model: tinyNetwork, isolate: true } },
      logger,
    });
    const logits = async () => {
      const { status, body } = await answer(infer(one));
      expect(status).toBe(200);
      return (body as { outputs: { data: number[] }[] }).outputs[0]?.data;
    };
    for (const [i, value] of ((await logits()) as number[]).entries())
      expect(value).toBeCloseTo(WANT[i] as number, 4);
    const [before] = hosts();
    expect(before).toBeGreaterThan(0);

    const requests: Promise<{ status: number }>[] = [];
    const health: number[] = [];
    killHosts();
    for (let i = 0; i < 40; i++) {
      requests.push(answer(infer(one)));
      health.push((await fetch(`${url}/v2/health/live`)).status);
      await sleep(5);
    }
    // Those that were under way ran once more.
    expect(new Set((await Promise.all(requests)).map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(health)).toEqual(new Set([200]));
    expect(hosts()).not.toContain(before);
    expect(await answer(fetch(`${url}/v2/models/tiny/ready`))).toMatchObject({ status: 200 });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/resnet_native_device_restarts_total\{model="tiny"\} [1-9]/);
    const logged = lines.map((line) => JSON.parse(line)).find(({ level }) => level === 50);
    expect(logged).toMatchObject({ model: 'tiny', err: { code: 'DEVICE_LOST' } });
  }, 30_000);

  test('is not ready meanwhile, and is again without being asked', async () => {
    const { url } = await start({ models: { tiny: { model: tinyNetwork, isolate: true } } });
    const ready = async () => (await fetch(`${url}/v2/health/ready`)).status;
    expect(await ready()).toBe(200);
    killHosts();
    while ((await ready()) === 200) await sleep(1);
    expect(await answer(fetch(`${url}/v2/models/tiny/ready`))).toMatchObject({ status: 503 });
    expect((await fetch(`${url}/v2/health/live`)).status).toBe(200);
    while ((await ready()) !== 200) await sleep(10);
  }, 30_000);

  test('closing the server ends its processes', async () => {
    const { server } = await start({ models: { tiny: { model: tinyNetwork, isolate: true } } });
    const before = hosts().length;
    await server.close();
    expect(hosts().length).toBe(before - 1);
  });
});

describe('several devices', () => {
  test('each runs what waits when it is free, and all give the same', async () => {
    const { server, infer, url } = await start({
      models: { tiny: { model: tinyNetwork, device: ['cpu', 'reference'], maxQueue: 64 } },
      defaults: { threads: 1, maxBatch: 2 },
    });
    expect(server.models.get('tiny').sessions.map(({ device }) => device)).toEqual(['cpu', 'reference']);
    const bodies = await Promise.all(Array.from({ length: 40 }, () => answer(infer(one))));
    for (const { status, body } of bodies) {
      expect(status).toBe(200);
      const [output] = (body as { outputs: { data: number[] }[] }).outputs;
      for (const [i, value] of (output?.data ?? []).entries())
        expect(value).toBeCloseTo(WANT[i] as number, 4);
    }
    const { body } = await answer(fetch(`${url}/v1/models`));
    expect(body).toMatchObject({ models: [{ device: 'cpu, reference' }] });
  });
});
