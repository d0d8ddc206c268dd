import { describe, expect, it } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import type { Compilable } from '../../lib/runtime/compilable.js';
import { type CompileOptions, compileModel } from '../../lib/runtime/compile.js';
import { devices } from '../../lib/runtime/devices.js';
import { Tensor } from '../../lib/tensor.js';
import { pixels, tinyNetwork } from './tiny-network.js';

type Refusal = [what: string, code: string, message: RegExp, options: unknown];

const compile = (options: unknown) => compileModel(tinyNetwork, options as CompileOptions);

async function expectRefused(compiling: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await expect(compiling).rejects.toBeInstanceOf(ResNetError);
  await expect(compiling).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
}

describe('compile options', () => {
  const refusals: Refusal[] = [
    [
      'an unknown name',
      'INVALID_ARGUMENT',
      /no option "maxbatch" \(did you mean "maxBatch"\?\)/,
      { maxbatch: 8 },
    ],
    ['an inherited name', 'INVALID_ARGUMENT', /no option "constructor"/, { constructor: 1 }],
    ['null', 'INVALID_ARGUMENT', /an object for the options of compile/, null],
    ['an unknown device', 'INVALID_ARGUMENT', /did you mean "cuda"/, { device: 'cude' }],
    ['a device of another type', 'INVALID_ARGUMENT', /for device but received 3/, { device: 3 }],
    ['a device index that is none', 'INVALID_ARGUMENT', /for device/, { device: 'cuda:x' }],
    ['an unknown dtype', 'INVALID_ARGUMENT', /did you mean "float32"/, { dtype: 'flaot32' }],
    [
      'a dtype that the device lacks',
      'UNSUPPORTED',
      /"reference" does not compute in bfloat16 here, only in float32, int8: give one of these/,
      { device: 'reference', dtype: 'bfloat16' },
    ],
    ['float16 on the CPU', 'UNSUPPORTED', /"cpu" does not.* float16/, { device: 'cpu', dtype: 'float16' }],
    ['tf32 on the CPU', 'UNSUPPORTED', /"cpu" does not.* tf32/, { device: 'cpu', dtype: 'tf32' }],
    ['tuning of no kind', 'INVALID_ARGUMENT', /did you mean "quick"/, { autotune: 'quik' }],
    ['a plan that is none', 'INVALID_ARGUMENT', /an array of steps/, { plan: 'fast' }],
    ['a plan of other things', 'INVALID_ARGUMENT', /a step with name .* for plan\[0\]/, { plan: [null] }],
    ['an empty batch', 'INVALID_ARGUMENT', /from 1 to/, { maxBatch: 0 }],
    ['NaN', 'INVALID_ARGUMENT', /maxBatch but received NaN/, { maxBatch: Number.NaN }],
    ['half a batch', 'INVALID_ARGUMENT', /received 1.5/, { maxBatch: 1.5 }],
    ['too many threads', 'INVALID_ARGUMENT', /threads/, { threads: 1e9 }],
    ['no contexts', 'INVALID_ARGUMENT', /contexts/, { contexts: 0 }],
    ['a niceness past 19', 'INVALID_ARGUMENT', /niceness/, { niceness: 20 }],
    ['a niceness below 0', 'INVALID_ARGUMENT', /niceness/, { niceness: -1 }],
    ['an unknown memory mode', 'INVALID_ARGUMENT', /"auto", "low" for memory/, { memory: 'lots' }],
    ['no outputs', 'INVALID_ARGUMENT', /at least one node name/, { outputs: [] }],
    [
      'outputs that are no array',
      'INVALID_ARGUMENT',
      /for outputs but received "logits"/,
      { outputs: 'logits' },
    ],
    [
      'an unknown node',
      'UNKNOWN_NODE',
      /no node "avgpol" \(did you mean "avgpool"\?\)/,
      { outputs: ['avgpol'] },
    ],
    ['an inherited node name', 'UNKNOWN_NODE', /no node "constructor"/, { outputs: ['constructor'] }],
    ['a node that is no string', 'INVALID_ARGUMENT', /a string for a node name/, { outputs: [1] }],
  ];
  for (const [what, code, message, options] of refusals) {
    it(`are refused: ${what}`, () => expectRefused(compile(options), code, message));
  }

  it('are read before calibration images are', async () => {
    const calibration = (async function* (): AsyncGenerator<Tensor> {
      yield await Promise.reject(new Error('the images were read'));
    })();
    await expectRefused(
      compile({ dtype: 'int8', calibration, outputs: ['avgpol'] }),
      'UNKNOWN_NODE',
      /no node "avgpol"/,
    );
  });

  it.each(['cpu', 'reference'])('calibration images on %s must be as large as a window', async (device) => {
    const graph = JSON.parse(
      JSON.stringify(tinyNetwork.graph).replace('"kernelSize":[1,1]', '"kernelSize":[5,3]'),
    );
    const weight = { shape: [4, 3, 5, 3], data: new Float32Array(180).fill(0.1) };
    const parameters = new Map([...tinyNetwork.parameters, ['conv.weight', weight]]);
    const calibration = Tensor.fromUint8(pixels(1, 4, 4), [1, 4, 4, 3]);
    await expectRefused(
      compileModel({ ...tinyNetwork, graph, parameters }, { device, dtype: 'int8', calibration }),
      'INVALID_SHAPE',
      /: its window of 5×3 does not fit its input \[1, 3, 4, 4\]; use larger images/,
    );
  });

  it('that are undefined take their defaults', async () => {
    await using session = await compile({
      device: undefined,
      dtype: undefined,
      maxBatch: undefined,
      outputs: undefined,
    });
    expect(session).toMatchObject({ dtype: 'float32', maxBatch: 32, outputs: ['logits'], channels: 3 });
  });
});

describe('the device', () => {
  it('is what was asked for', async () => {
    await using session = await compile({ device: 'reference' });
    expect(session).toMatchObject({ device: 'reference', deviceReason: '' });
  });

  it('is by default the best there is, and says why', async () => {
    await using session = await compile({});
    const cuda = (await devices()).find((device) => device.id.startsWith('cuda') && device.available);
    expect(session.device).toBe(cuda?.id ?? 'cpu');
    expect(session.deviceReason).toMatch(/^device "auto" took/);
  });

  it('is an error, naming what is missing, where it cannot be had', async () => {
    const unavailable = (await devices()).filter((device) => !device.available);
    for (const { id, reason } of unavailable) {
      const error = await compile({ device: id }).catch((caught: Error) => caught);
      expect(error).toMatchObject({ code: 'DEVICE_UNAVAILABLE' });
      expect((error as Error).message).toContain(reason);
      expect((error as Error).message).toContain('Available here: ');
    }
    await expectRefused(compile({ device: 'cuda:99' }), 'DEVICE_UNAVAILABLE', /"cuda:99" is not available/);
  });

  it('is listed with all that it takes to choose', async () => {
    const found = await devices();
    expect(found.map((device) => device.id)).toEqual(expect.arrayContaining(['cpu', 'reference']));
    for (const { id, name, available, isa, dtypes, reason } of found) {
      expect(id).toMatch(/^(cpu|reference|cuda(:\d+)?)$/);
      expect([typeof name, typeof isa, typeof reason]).toEqual(['string', 'string', 'string']);
      if (available) expect(dtypes).toContain('float32');
      else expect(reason).not.toBe('');
    }
  });
});

describe('the model', () => {
  const refusals: [what: string, message: RegExp, model: unknown][] = [
    ['nothing', /Expected a model for model but received null/, null],
    ['a path', /received "file.pth"/, 'file.pth'],
    ['a missing parameter', /a tensor named "conv.weight"/, { ...tinyNetwork, parameters: new Map() }],
    [
      'mean and std of other channels',
      /each of 3 channels but received mean \[0.5\]/,
      { ...tinyNetwork, transform: { ...tinyNetwork.transform, mean: [0.5], std: [0.5] } },
    ],
    ['std 0', /not 0/, { ...tinyNetwork, transform: { ...tinyNetwork.transform, std: [1, 0, 1] } }],
  ];
  for (const [what, message, model] of refusals) {
    it(`is refused: ${what}`, () =>
      expectRefused(compileModel(model as Compilable), 'INVALID_ARGUMENT', message));
  }

  it('is read when it is compiled: later changes do not reach the session', async () => {
    const parameters = new Map(
      [...tinyNetwork.parameters].map(([key, { shape, data }]) => [key, { shape, data: data.slice() }]),
    );
    const input = Tensor.fromUint8(pixels(1, 4, 4), [1, 4, 4, 3]);
    await using session = await compileModel({ ...tinyNetwork, parameters }, { device: 'reference' });
    const before = await session.run(input);
    for (const { data } of parameters.values()) data.fill(0);
    expect((await session.run(input)).logits?.data).toEqual(before.logits?.data);
  });

  it('may have a node with the name of the one that normalises', async () => {
    const graph = JSON.parse(
      JSON.stringify(tinyNetwork.graph)
        .replaceAll('"relu"', '"normalize"')
        .replace('"op":"normalize"', '"op":"relu"'),
    );
    const input = Tensor.fromUint8(pixels(1, 4, 4), [1, 4, 4, 3]);
    await using session = await compileModel({ ...tinyNetwork, graph }, { device: 'reference' });
    await using plain = await compileModel(tinyNetwork, { device: 'reference' });
    expect((await session.run(input)).logits?.data).toEqual((await plain.run(input)).logits?.data);
  });
});

describe.each(['cpu', 'reference'])('weights on %s', (device) => {
  it('are those of the moment of compiling, also in memory of the addon', async () => {
    const parameters = new Map(
      [...tinyNetwork.parameters].map(([name, { shape, data }]) => {
        const copy = Tensor.allocate([data.length], 'float32') as Tensor<Float32Array>;
        copy.data.set(data);
        return [name, { shape, data: copy.data }];
      }),
    );
    await using session = await compileModel({ ...tinyNetwork, parameters }, { device });
    const input = Tensor.fromUint8(pixels(1, 3, 2), [1, 3, 2, 3]);
    const before = await session.run(input);
    for (const { data } of parameters.values()) data.fill(7);
    expect(await session.run(input)).toEqual(before);
  });
});

it('lets the event loop turn between parameters that are computed', async () => {
  let turns = 0;
  const counting = setInterval(() => turns++, 0);
  const seen = new Map<string, number>();
  const slow = [...tinyNetwork.parameters].map(([key, { shape, data }]) => {
    const parameter = {
      shape,
      get data() {
        if (!seen.has(key)) for (const start = performance.now(); performance.now() - start < 10; );
        if (!seen.has(key)) seen.set(key, turns);
        return data;
      },
    };
    return [key, parameter] as const;
  });
  const session = await compileModel({ ...tinyNetwork, parameters: new Map(slow) }, { device: 'reference' });
  clearInterval(counting);
  await session.close();
  expect(seen.size).toBe(4);
  expect(new Set(seen.values()).size).toBeGreaterThan(1);
});
