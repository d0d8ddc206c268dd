import { getEventListeners } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { AbortError, ResNetError } from '../../lib/errors.js';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import { type CompileOptions, compileModel } from '../../lib/runtime/compile.js';
import type { Session } from '../../lib/runtime/session.js';
import { Tensor } from '../../lib/tensor.js';
import { CLASSES, expected, nhwcToNchw, normalized, pixels, tinyNetwork, WIDTH } from './tiny-network.js';

const open: Session[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((session) => session.close()));
});

async function compileTiny(options: CompileOptions = {}): Promise<Session> {
  const session = await compileModel(tinyNetwork, { device: 'reference', ...options });
  open.push(session);
  return session;
}

/** A session whose runs take a while, step by step, and a batch for it. */
async function compileSlow(options: CompileOptions = {}): Promise<{ session: Session; batch: Tensor }> {
  const model = new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', shortcut: 'zero-pad', numClasses: 10 });
  const session = await compileModel(model, { device: 'reference', ...options });
  open.push(session);
  return { session, batch: Tensor.fromUint8(new Uint8Array(96 * 96 * 3).fill(90), [1, 96, 96, 3]) };
}

const image = (n = 1, h = 6, w = 5) => Tensor.fromUint8(pixels(n, h, w), [n, h, w, 3]);

function detach(data: Uint8Array): void {
  const buffer = data.buffer as ArrayBuffer;
  structuredClone(buffer, { transfer: [buffer] });
}

/** The logits of each image of a batch of `n`. */
function expectedRows(n: number): number[][] {
  const input = normalized(pixels(n, 6, 5));
  return Array.from({ length: n }, (_, i) => expected(input.subarray(i * 90, (i + 1) * 90)).logits);
}

/** Float32 rounding of sums of a few dozen terms of about 1. */
function expectClose(actual: ArrayLike<number>, wanted: readonly number[]): void {
  expect(actual.length).toBe(wanted.length);
  wanted.forEach((value, i) => {
    expect(Math.abs((actual[i] as number) - value)).toBeLessThan(1e-5);
  });
}

describe('run', () => {
  it('computes what the network says, for each image of a batch', async () => {
    const session = await compileTiny({ outputs: ['avgpool', 'logits'] });
    const results = await session.run(image(3));
    expect(Object.keys(results)).toEqual(['avgpool', 'logits']);
    expect(results.avgpool?.shape).toEqual([3, WIDTH, 1, 1]);
    expect(results.logits?.shape).toEqual([3, CLASSES]);
    expect(results.logits?.dtype).toBe('float32');
    const input = normalized(pixels(3, 6, 5));
    for (let i = 0; i < 3; i++) {
      const wanted = expected(input.subarray(i * 90, (i + 1) * 90));
      expectClose(results.avgpool?.data.subarray(i * WIDTH, (i + 1) * WIDTH) ?? [], wanted.avgpool);
      expectClose(results.logits?.data.subarray(i * CLASSES, (i + 1) * CLASSES) ?? [], wanted.logits);
    }
  });

  it('takes float32 as already normalised, in both layouts', async () => {
    const session = await compileTiny();
    const nhwc = normalized(pixels(2, 6, 5));
    const nchw = nhwcToNchw(nhwc, 2, 6, 5);
    const fromUint8 = await session.run(image(2));
    const fromNhwc = await session.run(Tensor.fromFloat32(nhwc, [2, 6, 5, 3], { layout: 'NHWC' }));
    const fromNchw = await session.run(Tensor.fromFloat32(nchw, [2, 3, 6, 5]));
    expect(fromNchw.logits?.data).toEqual(fromNhwc.logits?.data);
    expectClose(fromUint8.logits?.data ?? [], Array.from(fromNhwc.logits?.data ?? []));
  });

  it('gives feature maps in NCHW order', async () => {
    const session = await compileTiny({ outputs: ['relu', 'avgpool'] });
    const { relu, avgpool } = await session.run(image());
    expect(relu?.shape).toEqual([1, WIDTH, 6, 5]);
    const means = Array.from({ length: WIDTH }, (_, c) => {
      const plane = relu?.data.subarray(c * 30, (c + 1) * 30) ?? [];
      return Array.from(plane).reduce((sum, value) => sum + value, 0) / 30;
    });
    expectClose(avgpool?.data ?? [], means);
  });

  it('takes any batch and any image size with one session', async () => {
    const session = await compileTiny({ maxBatch: 4 });
    for (const [n, h, w] of [
      [1, 1, 1],
      [4, 3, 17],
      [2, 40, 2],
    ] as const) {
      const { logits } = await session.run(image(n, h, w));
      const input = normalized(pixels(n, h, w));
      expectClose(logits?.data.subarray(0, CLASSES) ?? [], expected(input.subarray(0, h * w * 3)).logits);
    }
  });

  it('answers to aliases and to names asked for twice', async () => {
    const session = await compileTiny({ outputs: ['fc', 'logits', 'fc', 'flatten'] });
    expect(session.outputs).toEqual(['fc', 'logits', 'flatten']);
    const results = await session.run(image());
    expect(Object.keys(results)).toEqual(['fc', 'logits', 'flatten']);
    expect(results.logits?.data).toEqual(results.fc?.data);
  });

  it('gives the normalised input for the input node', async () => {
    const session = await compileTiny({ outputs: ['x'] });
    const { x } = await session.run(image());
    expect(x?.shape).toEqual([1, 3, 6, 5]);
    expectClose(x?.data ?? [], Array.from(nhwcToNchw(normalized(pixels(1, 6, 5)), 1, 6, 5)));
  });

  it('hands over large results, which the caller may change and transfer', async () => {
    const session = await compileTiny({ outputs: ['relu'] });
    const { relu } = await session.run(image(2, 100, 100));
    const first = relu?.data[0];
    const moved = structuredClone(relu?.data);
    relu?.data.fill(7);
    expect(moved?.[0]).toBe(first);
    expect(relu?.data.length).toBe(2 * WIDTH * 100 * 100);
  });

  it('propagates NaN', async () => {
    const session = await compileTiny();
    const data = new Float32Array(3 * 4 * 4);
    data[5] = Number.NaN;
    const { logits } = await session.run(Tensor.fromFloat32(data, [1, 3, 4, 4]));
    expect(Array.from(logits?.data ?? [])).toEqual(new Array(CLASSES).fill(Number.NaN));
  });
});

describe('the input', () => {
  it('is copied before run returns', async () => {
    const session = await compileTiny();
    const data = pixels(1, 6, 5);
    const wanted = await session.run(image());
    const running = session.run(Tensor.fromUint8(data, [1, 6, 5, 3]));
    data.fill(0);
    expect((await running).logits?.data).toEqual(wanted.logits?.data);
  });

  it('may be transferred while the run is under way', async () => {
    const session = await compileTiny();
    const data = pixels(1, 6, 5);
    const wanted = await session.run(image());
    const running = session.run(Tensor.fromUint8(data, [1, 6, 5, 3]));
    detach(data);
    expect((await running).logits?.data).toEqual(wanted.logits?.data);
  });

  it('is read in place where it is memory of Tensor.allocate', async () => {
    const { session, batch } = await compileSlow();
    const tensor = Tensor.allocate([1, 6, 5, 3], 'uint8');
    expect(Array.from(tensor.data)).toEqual(new Array(90).fill(0));
    tensor.data.set(pixels(1, 6, 5));
    const wanted = await session.run(image());
    expect((await session.run(tensor)).logits?.data).toEqual(wanted.logits?.data);
    // The run below waits for this one, so that what is written meanwhile is what it reads.
    const busy = session.run(batch);
    const running = session.run(tensor);
    tensor.data.fill(0);
    await busy;
    const black = await session.run(Tensor.fromUint8(new Uint8Array(90), [1, 6, 5, 3]));
    expect((await running).logits?.data).toEqual(black.logits?.data);
  });

  it('is kept while a run reads it, though JavaScript has let it go', async () => {
    const { session, batch } = await compileSlow();
    const wanted = await session.run(image());
    const busy = session.run(batch);
    const running = (() => {
      const tensor = Tensor.allocate([1, 6, 5, 3], 'uint8');
      tensor.data.set(pixels(1, 6, 5));
      const started = session.run(tensor);
      const buffer = tensor.data.buffer as ArrayBuffer & { transfer?: () => ArrayBuffer };
      buffer.transfer?.(); // from Node 22 on: detaches what the tensor views
      return started;
    })();
    await busy;
    expect((await running).logits?.data).toEqual(wanted.logits?.data);
  });

  it('may come in several tensors, in memory of any kind', async () => {
    const session = await compileTiny({ maxBatch: 6 });
    const allocated = Tensor.allocate([2, 6, 5, 3], 'uint8');
    allocated.data.set(pixels(2, 6, 5));
    const { logits } = await session.run([image(3), allocated, image(1)]);
    const rows = [...expectedRows(3), ...expectedRows(2), ...expectedRows(1)].flat();
    expect(logits?.shape).toEqual([6, CLASSES]);
    expectClose(logits?.data ?? [], rows);
    expect((await session.run([image(2)])).logits).toEqual((await session.run(image(2))).logits);
  });

  const bad: [what: string, code: string, message: RegExp, make: () => unknown][] = [
    ['no tensors', 'INVALID_ARGUMENT', /a Tensor or several/, () => []],
    ['something else among tensors', 'INVALID_ARGUMENT', /a Tensor/, () => [image(), pixels(1, 6, 5)]],
    ['tensors of two sizes', 'INVALID_SHAPE', /6x5 and uint8 NHWC 5x6/, () => [image(), image(1, 5, 6)]],
    [
      'tensors of two types',
      'INVALID_SHAPE',
      /uint8 NHWC 6x5 and float32 NCHW 6x5/,
      () => [image(), Tensor.fromFloat32(new Float32Array(90), [1, 3, 6, 5])],
    ],
    ['tensors over maxBatch together', 'INVALID_SHAPE', /maxBatch: 5/, () => [image(3), image(2)]],
    ['no tensor', 'INVALID_ARGUMENT', /Expected a Tensor for input/, () => ({ data: pixels(1, 2, 2) })],
    ['nothing', 'INVALID_ARGUMENT', /received undefined/, () => undefined],
    [
      'one image without a batch',
      'INVALID_SHAPE',
      /one image is a batch of 1/,
      () => Tensor.fromUint8(pixels(1, 2, 2), [2, 2, 3]),
    ],
    [
      'other channels',
      'INVALID_SHAPE',
      /3 channels/,
      () => Tensor.fromUint8(new Uint8Array(16), [1, 2, 2, 4]),
    ],
    [
      'the other layout',
      'INVALID_SHAPE',
      /NCHW/,
      () => Tensor.fromFloat32(new Float32Array(60), [1, 4, 5, 3]),
    ],
    [
      'an empty batch',
      'INVALID_SHAPE',
      /at least one image/,
      () => Tensor.fromUint8(new Uint8Array(0), [0, 2, 2, 3]),
    ],
    ['no pixels', 'INVALID_SHAPE', /one pixel/, () => Tensor.fromUint8(new Uint8Array(0), [1, 0, 2, 3])],
    ['a batch over maxBatch', 'INVALID_SHAPE', /compile with maxBatch: 5/, () => image(5)],
    [
      'a detached buffer',
      'INVALID_ARGUMENT',
      /detached/,
      () => {
        const data = pixels(1, 2, 2);
        const tensor = Tensor.fromUint8(data, [1, 2, 2, 3]);
        detach(data);
        return tensor;
      },
    ],
  ];
  for (const [what, code, message, make] of bad) {
    it(`is refused: ${what}`, async () => {
      const session = await compileTiny({ maxBatch: 4 });
      const running = session.run(make() as Tensor);
      await expect(running).rejects.toBeInstanceOf(ResNetError);
      await expect(running).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
      expect((await session.run(image())).logits?.shape).toEqual([1, CLASSES]);
    });
  }

  it('is refused by the network where an image is too small for it', async () => {
    const model = new ResNet(BasicBlock, [1, 1, 1, 1], { numClasses: 2 });
    const wide = {
      ...model.graph,
      nodes: model.graph.nodes.map((node) =>
        node.op === 'max_pool2d' ? { ...node, padding: [0, 0] as const } : node,
      ),
    };
    const network = {
      graph: wide,
      parameters: model.parameters,
      transform: model.transform,
      categories: undefined,
    };
    const session = await compileModel(network, { device: 'reference' });
    open.push(session);
    await expect(session.run(image(1, 1, 1))).rejects.toMatchObject({
      code: 'INVALID_SHAPE',
      message: expect.stringMatching(/maxpool/),
    });
  });
});

describe('several runs', () => {
  it('overlap in several sessions and each gets its own result', async () => {
    const sessions = await Promise.all([1, 2, 3].map((contexts) => compileTiny({ contexts })));
    const runs = Array.from({ length: 60 }, async (_, i) => {
      const [h, w] = [1 + (i % 7), 1 + (i % 5)];
      const { logits } = await (sessions[i % 3] as Session).run(image(1, h, w));
      expectClose(logits?.data ?? [], expected(normalized(pixels(1, h, w))).logits);
    });
    await Promise.all(runs);
  });

  it('do not hold up the event loop', async () => {
    const { session, batch } = await compileSlow();
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const started = performance.now();
    await Promise.all([session.run(batch), session.run(batch)]);
    const took = performance.now() - started;
    delay.disable();
    expect(took).toBeGreaterThan(200);
    expect(delay.max / 1e6).toBeLessThan(took / 4);
  });
});

describe('abort', () => {
  it('before the run rejects at once', async () => {
    const session = await compileTiny();
    const reason = new Error('changed my mind');
    const error = await session.run(image(), { signal: AbortSignal.abort(reason) }).catch((caught) => caught);
    expect(error).toBeInstanceOf(AbortError);
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
  });

  it('stops a run under way long before it would be done', async () => {
    const { session, batch } = await compileSlow();
    const whole = performance.now();
    await session.run(batch);
    const wholeRun = performance.now() - whole;
    const controller = new AbortController();
    const started = performance.now();
    const running = session.run(batch, { signal: controller.signal });
    setTimeout(() => controller.abort('stop'), wholeRun / 10);
    await expect(running).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'stop' });
    expect(performance.now() - started).toBeLessThan(wholeRun * 0.7);
    expect((await session.run(image())).logits?.shape).toEqual([1, 10]);
  });

  it('takes a waiting run out of the queue, and only that one', async () => {
    const { session, batch } = await compileSlow();
    const controller = new AbortController();
    const settled: string[] = [];
    const first = session.run(batch).then(() => settled.push('first'));
    const second = session
      .run(batch, { signal: controller.signal })
      .catch((error) => settled.push(error.name));
    const third = session.run(image()).then(() => settled.push('third'));
    controller.abort();
    await Promise.all([first, second, third]);
    expect(settled).toEqual(['AbortError', 'first', 'third']);
  });

  it('of one signal ends all runs that have it, which listen to it together', async () => {
    const { session, batch } = await compileSlow();
    const controller = new AbortController();
    const runs = Array.from({ length: 20 }, () => session.run(batch, { signal: controller.signal }));
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1);
    controller.abort('stop');
    for (const run of await Promise.allSettled(runs)) {
      expect(run).toMatchObject({ status: 'rejected', reason: { code: 'ABORT_ERR', cause: 'stop' } });
    }
  });

  it('after the run changes nothing, and the signal is let go', async () => {
    const session = await compileTiny();
    const controller = new AbortController();
    for (let i = 0; i < 20; i++) await session.run(image(), { signal: controller.signal });
    controller.abort();
    expect((await session.run(image())).logits?.shape).toEqual([1, CLASSES]);
  });

  it('takes signals only', async () => {
    const session = await compileTiny();
    const signal = { aborted: false } as AbortSignal;
    await expect(session.run(image(), { signal })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('close', () => {
  it('lets runs under way and waiting finish, and takes no more', async () => {
    const { session, batch } = await compileSlow();
    const settled: string[] = [];
    const runs = [1, 2, 3].map((i) => session.run(batch).then(() => settled.push(`run ${i}`)));
    const closing = session.close().then(() => settled.push('closed'));
    await expect(session.run(batch)).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await Promise.all([...runs, closing]);
    expect(settled).toEqual(['run 1', 'run 2', 'run 3', 'closed']);
  });

  it('may be called any number of times', async () => {
    const session = await compileTiny();
    await Promise.all([session.close(), session.close()]);
    await session.close();
    await session[Symbol.asyncDispose]();
    await expect(session.run(image())).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
    await expect(session.profile(image())).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
  });

  it('comes after an aborted run', async () => {
    const { session, batch } = await compileSlow();
    const controller = new AbortController();
    const running = session.run(batch, { signal: controller.signal }).catch((error) => error.name);
    await sleep(5);
    const closing = session.close();
    controller.abort();
    expect(await running).toBe('AbortError');
    await closing;
  });
});

describe('profile', () => {
  it('times each step of the plan', async () => {
    const { session, batch } = await compileSlow();
    const steps = await session.profile(batch);
    expect(steps.map((step) => step.name)).toEqual(session.plan.map((step) => step.name));
    for (const step of steps) expect(step.ms).toBeGreaterThanOrEqual(0);
    const conv = steps.filter((step) => step.op === 'conv2d').reduce((sum, step) => sum + step.ms, 0);
    expect(conv).toBeGreaterThan(1);
  });

  it('can be aborted', async () => {
    const { session, batch } = await compileSlow();
    const running = session.profile(batch, { signal: AbortSignal.timeout(20) });
    await expect(running).rejects.toMatchObject({ code: 'ABORT_ERR' });
  });
});

it('options of a run that are none are refused', async () => {
  const session = await compileModel(tinyNetwork, { device: 'reference' });
  const input = Tensor.fromUint8(pixels(1, 8, 8), [1, 8, 8, 3]);
  for (const options of [null, 5, { singal: 1 }]) {
    await expect(session.run(input, options as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(session.profile(input, options as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  }
  await session.close();
});
