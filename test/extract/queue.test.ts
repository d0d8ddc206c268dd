import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { extractFeatures } from '../../lib/extract/extract-features.js';
import { extractQueued, type QueuedOptions } from '../../lib/extract/queue/extract-queued.js';
import { queueStatus, retryParked } from '../../lib/extract/queue/status.js';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { checkBuild, runCli } from '../cli/run-cli.js';
import { DIGITS_MODEL, HELD_OUT } from '../tasks/digits.js';
import { allRows, readManifest, temporaryFolder } from './folders.js';
import { missingRedis, RedisServer } from './redis.js';

const COUNT = 60;
const CHILD = fileURLToPath(new URL('children/queued.mjs', import.meta.url));
const base = temporaryFolder();
const images = join(base, 'images');
const reason = missingRedis();
let redis: RedisServer;
let model: Model;
let expected: ReturnType<typeof allRows>;

if (reason) test('a queue', (context) => context.skip(reason));

describe.skipIf(reason)('a queue', () => {
  beforeAll(async () => {
    checkBuild();
    mkdirSync(images);
    for (const file of HELD_OUT.slice(0, COUNT)) copyFileSync(file, join(images, basename(file)));
    model = await loadModel(DIGITS_MODEL);
    await extractFeatures(model, images, { out: join(base, 'alone') });
    expected = allRows(join(base, 'alone'), 'avgpool');
    redis = await RedisServer.start(base);
  });

  afterAll(() => redis?.kill());

  const options = (out: string, more: Partial<QueuedOptions> = {}): QueuedOptions => {
    return { out: join(base, out), queue: redis.url, shardSize: 10, takeOverMs: 1000, ...more };
  };

  test('of one machine comes to what extractFeatures writes; a second call finds it done', async () => {
    const state = await extractQueued(model, images, options('one'));
    expect(state).toEqual({ planned: true, waiting: 0, active: 0, done: 6, parked: [] });
    expect(allRows(join(base, 'one'), 'avgpool')).toEqual(expected);
    expect(await extractQueued(model, images, options('one'))).toEqual(state);
    await expect(extractQueued(model, images, options('one', { normalize: true }))).rejects.toThrow(
      /normalize is false there and true here/,
    );
  });

  test('outlives kill -9 of its machines and of Redis, with each image once', async () => {
    const out = join(base, 'many');
    const machines: ChildProcess[] = [];
    const addMachine = () => {
      const child = spawn(process.execPath, [CHILD, DIGITS_MODEL, images, out, redis.url], {
        stdio: 'inherit',
      });
      machines.push(child);
      return once(child, 'exit');
    };
    const exits = [addMachine(), addMachine()];
    for (const [round, victim] of [1, 0, 3].entries()) {
      await untilBegun(out);
      await sleep(300 * Math.random());
      machines[victim]?.kill('SIGKILL');
      if (round === 1) {
        await redis.kill();
        await redis.run();
      }
      exits.push(addMachine());
    }
    const codes = (await Promise.all(exits)).map(([code]) => code);
    expect(codes[4]).toBe(0);
    const state = await queueStatus({ url: redis.url, out });
    expect(state).toEqual({ planned: true, waiting: 0, active: 0, done: COUNT / 3, parked: [] });
    expect(allRows(out, 'avgpool')).toEqual(expected);
  });

  test('parks a part that fails again and again, with its error, until it is retried', async () => {
    const out = join(base, 'poison');
    const obstacle = join(out, 'part-00002.avgpool.npy');
    mkdirSync(obstacle, { recursive: true });
    const state = await extractQueued(model, images, options('poison', { tries: 2 }));
    expect(state).toMatchObject({ done: 5, parked: [{ part: 'part-00002' }] });
    expect(state.parked[0]?.error).toContain('Cannot write');
    expect(readManifest(out).parts).toHaveLength(5);
    rmdirSync(obstacle);
    expect(await retryParked({ url: redis.url, out })).toBe(1);
    expect((await extractQueued(model, images, options('poison'))).parked).toEqual([]);
    expect(allRows(out, 'avgpool')).toEqual(expected);
  });

  test('the command line works on it, shows its state and retries', async () => {
    const out = join(base, 'cli');
    const address = ['--out', out, '--queue', redis.url];
    const options = ['--weights', DIGITS_MODEL, '--shard-size', '20', '--json'];
    const { code, stdout, stderr } = await runCli('extract', images, ...address, ...options);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const done = { planned: true, waiting: 0, active: 0, done: 3, parked: [] };
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) as string)).toEqual({ event: 'done', ...done });
    const status = await runCli('extract', 'status', ...address);
    expect(status.stdout).toBe('3 parts done, 0 under way, 0 waiting, 0 parked\n');
    expect((await runCli('extract', 'retry', ...address, '--json')).stdout).toBe('{"retried":0}\n');
    expect((await runCli('extract', 'status', '--out', out)).stderr).toContain('--queue is missing');
    expect(allRows(out, 'avgpool')).toEqual(expected);
  });

  test('neither goes on in a folder of a single run, nor a single run in its own', async () => {
    await expect(extractQueued(model, images, options('alone'))).rejects.toThrow(/begun without a queue/);
    const single = extractFeatures(model, images, { out: join(base, 'one'), resume: true });
    await expect(single).rejects.toThrow(/begun with a queue: go on with the same queue/);
    expect(allRows(join(base, 'alone'), 'avgpool')).toEqual(expected);
    expect(allRows(join(base, 'one'), 'avgpool')).toEqual(expected);
  });

  test('an aborted machine gives its part back', async () => {
    const controller = new AbortController();
    const out = join(base, 'aborted');
    const aborted = extractQueued(model, images, options('aborted', { signal: controller.signal, batch: 1 }));
    const refused = expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await untilBegun(out);
    controller.abort();
    await refused;
    expect((await queueStatus({ url: redis.url, out })).active).toBe(0);
    expect((await extractQueued(model, images, options('aborted'))).done).toBe(6);
    expect(allRows(out, 'avgpool')).toEqual(expected);
  });

  test('a Redis that is not there, what is no URL, and an adapter are refused', async () => {
    const failing = (more: Partial<QueuedOptions>) => extractQueued(model, images, options('refused', more));
    await expect(failing({ queue: 'redis://user:secret@127.0.0.1:1' })).rejects.toMatchObject({
      code: 'FILE',
      message: expect.stringMatching(/^No Redis can be reached at 127\.0\.0\.1:1: (?!.*secret)/),
    });
    await expect(failing({ queue: 'http://localhost' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

/** Waits until parts are being worked on. */
async function untilBegun(out: string): Promise<void> {
  while (!existsSync(join(out, 'plan', 'part-00001.jsonl'))) await sleep(20);
}
