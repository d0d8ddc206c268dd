import { constants } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { ResNetError } from '../../lib/errors.js';
import { type NativeAddon, native } from '../../lib/runtime/native.js';
import { pixels, tinyNetwork } from './tiny-network.js';

// The addon's own checks: lib/ lets none of this through, but a graph may come from a file, and native code must not
// rely on anyone.

type Compile = Parameters<NativeAddon['compile']>;
// biome-ignore lint/suspicious/noExplicitAny: what is tested are values of wrong types
type Anything = any;

const options: Compile[3] = {
  devices: ['reference'],
  dtype: 'float32',
  maxBatch: 4,
  threads: 0,
  memory: 'auto',
  contexts: 1,
  height: 0,
  width: 0,
  memoryBudget: 0,
  autotune: 'off',
  plan: [],
  cacheFolder: '',
  niceness: 0,
  description: '{}',
};
const nodes = () => structuredClone(tinyNetwork.graph.nodes) as Anything[];
const parameters = () => Object.fromEntries(tinyNetwork.parameters) as Anything;

/** What compile throws or rejects with. */
async function errorOf(...args: Anything[]): Promise<Anything> {
  try {
    const session = await (native().compile as (...args: Anything[]) => ReturnType<NativeAddon['compile']>)(
      ...args,
    );
    await session.close();
  } catch (error) {
    return error;
  }
  throw new Error('it compiled');
}

const weights = (data: unknown, shape: unknown = [4, 3, 1, 1]) => ({
  ...parameters(),
  'conv.weight': { shape, data },
});
const withConv = (change: object) =>
  nodes().map((node) => (node.name === 'conv' ? { ...node, ...change } : node));

describe('compile', () => {
  const hostile: [what: string, message: RegExp, args: Anything[]][] = [
    ['no arguments', /an object for options/, []],
    ['no nodes', /an array for nodes/, [undefined, ['fc'], parameters(), options]],
    ['an empty graph', /./, [[], [], parameters(), options]],
    ['no outputs', /./, [nodes(), [], parameters(), options]],
    ['an unknown output', /no earlier node named "nope"/, [nodes(), ['nope'], parameters(), options]],
    ['a node that is no object', /nodes\[0\]: expected an object/, [[5], ['fc'], parameters(), options]],
    [
      'a node without a name',
      /nodes\[0\]: expected a string for name/,
      [[{}], ['fc'], parameters(), options],
    ],
    [
      'an unknown operation',
      /fc: the operation "sin" is not known/,
      [
        [...nodes().slice(0, 5), { op: 'sin', name: 'fc', inputs: ['flatten'] }],
        ['fc'],
        parameters(),
        options,
      ],
    ],
    [
      'an input that comes later',
      /conv: there is no earlier node named "fc"/,
      [withConv({ inputs: ['fc'] }), ['fc'], parameters(), options],
    ],
    [
      'a node of itself',
      /no earlier node named "conv"/,
      [withConv({ inputs: ['conv'] }), ['fc'], parameters(), options],
    ],
    ['no inputs at all', /conv/, [withConv({ inputs: [] }), ['fc'], parameters(), options]],
    ['two nodes of one name', /./, [withConv({ name: 'x' }), ['x'], parameters(), options]],
    ['no groups', /groups/, [withConv({ groups: 0 }), ['fc'], parameters(), options]],
    ['no stride', /conv/, [withConv({ stride: [0, 0] }), ['fc'], parameters(), options]],
    ['a negative padding', /padding\[0\]/, [withConv({ padding: [-1, 0] }), ['fc'], parameters(), options]],
    [
      'a kernel size of one number',
      /an array for kernelSize/,
      [withConv({ kernelSize: 3 }), ['fc'], parameters(), options],
    ],
    ['half a channel', /inChannels/, [withConv({ inChannels: 1.5 }), ['fc'], parameters(), options]],
    [
      'channels past 32 bits',
      /outChannels/,
      [withConv({ outChannels: 2 ** 40 }), ['fc'], parameters(), options],
    ],
    [
      'sizes whose product wraps around',
      /conv/,
      [
        withConv({ inChannels: 2 ** 30, outChannels: 2 ** 30, kernelSize: [2 ** 30, 2 ** 30] }),
        ['fc'],
        weights(new Float32Array(0), [2 ** 30, 2 ** 30, 2 ** 30, 2 ** 30]),
        options,
      ],
    ],
    ['parameters that are no object', /an object for parameters/, [nodes(), ['fc'], 7, options]],
    ['a missing parameter', /the parameter conv.weight/, [nodes(), ['fc'], {}, options]],
    [
      'a parameter of another shape',
      /expected the shape \[4, 3, 1, 1\] but it has \[4, 3\]/,
      [nodes(), ['fc'], weights(new Float32Array(12), [4, 3]), options],
    ],
    [
      'a parameter with too little data',
      /has 11 values, which do not make \[4, 3, 1, 1\]/,
      [nodes(), ['fc'], weights(new Float32Array(11)), options],
    ],
    [
      'a parameter of another type',
      /a Float32Array for conv.weight.data/,
      [nodes(), ['fc'], weights(new Float64Array(12)), options],
    ],
    ['an array for data', /a Float32Array/, [nodes(), ['fc'], weights(new Array(12).fill(0)), options]],
    [
      'an unknown device',
      /device "tpu" is not known/,
      [nodes(), ['fc'], parameters(), { ...options, devices: ['tpu'] }],
    ],
    [
      'a device with a strange index',
      /cuda/,
      [nodes(), ['fc'], parameters(), { ...options, devices: ['cuda:-1'] }],
    ],
    ['no device', /at least one device/, [nodes(), ['fc'], parameters(), { ...options, devices: [] }]],
    ['an unknown dtype', /dtype "int1"/, [nodes(), ['fc'], parameters(), { ...options, dtype: 'int1' }]],
    ['a negative batch', /maxBatch/, [nodes(), ['fc'], parameters(), { ...options, maxBatch: -1 }]],
  ];
  for (const [what, message, args] of hostile) {
    it(`refuses ${what}`, async () => {
      const error = await errorOf(...args);
      expect(error).toBeInstanceOf(ResNetError);
      expect(error.message).toMatch(message);
      expect(error.code).not.toBe('INTERNAL');
    });
  }

  it('passes on what a getter throws', async () => {
    const trap = new Error('a trap');
    const nodesWithTrap = nodes();
    Object.defineProperty(nodesWithTrap[1], 'inputs', {
      get() {
        throw trap;
      },
    });
    expect(await errorOf(nodesWithTrap, ['fc'], parameters(), options)).toBe(trap);
  });

  it('is not fooled by a getter that takes the data away', async () => {
    const data = new Float32Array(12);
    const parameter = {
      get shape() {
        structuredClone(data.buffer, { transfer: [data.buffer] });
        return [4, 3, 1, 1];
      },
      data,
    };
    expect(
      await errorOf(nodes(), ['fc'], { ...parameters(), 'conv.weight': parameter }, options),
    ).toMatchObject({
      message: expect.stringMatching(/has 0 values/),
    });
  });
});

describe('run', () => {
  const good = () => ({ parts: [pixels(1, 2, 2)] as Anything, layout: 'NHWC' as Anything, n: 1, h: 2, w: 2 });
  const hostile: [what: string, input: Anything][] = [
    ['nothing', undefined],
    ['data that is no typed array', { ...good(), parts: [[1, 2, 3]] }],
    ['data of another type', { ...good(), parts: [new Int16Array(12)] }],
    ['too little data', { ...good(), parts: [pixels(1, 2, 1)] }],
    ['too much data', { ...good(), parts: [pixels(2, 2, 2)] }],
    ['no data', { ...good(), parts: [new Uint8Array(0)] }],
    ['no parts', { ...good(), parts: [] }],
    ['parts that are no array', { ...good(), parts: pixels(1, 2, 2) }],
    ['parts that are too few', { ...good(), n: 2 }],
    ['parts that are too many', { ...good(), parts: [pixels(1, 2, 2), pixels(1, 2, 2)] }],
    ['parts that split an image', { ...good(), n: 2, parts: [pixels(1, 3, 2), pixels(1, 1, 2)] }],
    ['an empty part', { ...good(), parts: [pixels(1, 2, 2), new Uint8Array(0)] }],
    ['parts of two types', { ...good(), n: 2, parts: [pixels(1, 2, 2), new Float32Array(12)] }],
    ['float data of another size', { ...good(), parts: [new Float32Array(11)] }],
    ['sizes that wrap around', { ...good(), n: 4, h: 2 ** 31 - 1, w: 2 ** 31 - 1 }],
    ['other sizes of the same product', { ...good(), h: 3, w: 1 }],
    ['a negative size', { ...good(), h: -2, w: -2 }],
    ['a size that is no integer', { ...good(), h: 0.5, w: 8 }],
    ['a batch over the largest', { ...good(), n: 5 }],
    ['no layout', { ...good(), layout: undefined }],
  ];

  it('refuses what does not make an image, and goes on', async () => {
    const session = await native().compile(tinyNetwork.graph.nodes, ['fc'], parameters(), options);
    for (const [what, input] of hostile) {
      expect(() => session.run(1, input), what).toThrow(ResNetError);
    }
    expect(() => session.run(-1, good())).toThrow(/id/);
    const [output] = await session.run(1, good());
    expect(output?.shape).toEqual([1, 5]);
    await session.close();
    expect(() => session.close()).toThrow(/closed/);
    session.cancel(1);
  });

  it('refuses an id that is under way', async () => {
    const session = await native().compile(tinyNetwork.graph.nodes, ['fc'], parameters(), options);
    const running = session.run(7, good());
    expect(() => session.run(7, good())).toThrow(/7/);
    await running;
    await session.run(7, good());
    await session.close();
  });
});

describe('discard', () => {
  it('frees a buffer, but not before the runs that read it are done', async () => {
    const session = await native().compile(tinyNetwork.graph.nodes, ['fc'], parameters(), options);
    const buffer = native().allocate(4 * 64 * 64 * 3);
    new Uint8Array(buffer).set(pixels(4, 64, 64));
    const input = { layout: 'NHWC', n: 4, h: 64, w: 64 } as const;
    const [wanted] = await session.run(1, { ...input, parts: [pixels(4, 64, 64)] });
    const running = session.run(2, { ...input, parts: [new Uint8Array(buffer)] });
    native().discard(buffer);
    expect(buffer.byteLength).toBe(0);
    expect((await running)[0]?.data).toEqual(wanted?.data);
    await session.close();
  });

  it('takes memory of any kind, and a buffer that is gone already', () => {
    const { buffer } = new Uint8Array(100);
    native().discard(buffer);
    native().discard(buffer);
    expect(buffer.byteLength).toBe(0);
  });

  it('refuses what is no buffer of its own', () => {
    const discard = native().discard as (buffer: unknown) => void;
    for (const value of [undefined, 5, new Uint8Array(8), new SharedArrayBuffer(8)]) {
      expect(() => discard(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
  });
});

describe('attach', () => {
  it('refuses what is no handle of an open session', () => {
    const attach = native().attach as (handle: unknown) => unknown;
    for (const handle of [undefined, 1, 'x', {}, -1n, 2n ** 70n]) {
      expect(() => attach(handle)).toThrow(/expected a session's handle/);
    }
    expect(() => attach(123456789n)).toThrow(expect.objectContaining({ code: 'SESSION_CLOSED' }));
  });
});

describe('allocate', () => {
  it('gives zeroed memory of the size asked for', () => {
    for (const bytes of [0, 1, 100, 1_000_000]) {
      const buffer = native().allocate(bytes);
      expect(buffer).toBeInstanceOf(ArrayBuffer);
      expect(buffer.byteLength).toBe(bytes);
      expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
    }
  });

  it('says when there is not so much', () => {
    for (const bytes of [constants.MAX_LENGTH + 1, 2 ** 52]) {
      expect(() => native().allocate(bytes), `${bytes} bytes`).toThrow(
        expect.objectContaining({ code: 'OUT_OF_MEMORY' }),
      );
    }
    for (const bytes of [-1, 0.5, Number.NaN, '8']) {
      expect(() => native().allocate(bytes as number)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      );
    }
  });
});

describe('resizeCrop', () => {
  const geometry = { resizedHeight: 2, resizedWidth: 2, top: 0, left: 0, cropHeight: 2, cropWidth: 2 };

  it('resizes on a worker thread', async () => {
    const source = new Uint8Array(4 * 4 * 3).fill(200);
    expect(Array.from(await native().resizeCrop(source, 4, 4, geometry))).toEqual(new Array(12).fill(200));
  });

  it('refuses what does not make an image', () => {
    const resize = native().resizeCrop as (...args: unknown[]) => unknown;
    const source = new Uint8Array(48);
    for (const args of [
      [],
      [source, 4, 5, geometry],
      [source, 0, 4, geometry],
      [source, 4, 4, { ...geometry, cropHeight: 0 }],
      [source, 4, 4, { ...geometry, cropHeight: 2 ** 60 }],
      [source, 4, 4, null],
      [new Float32Array(48), 4, 4, geometry],
    ]) {
      expect(() => resize(...args)).toThrow(ResNetError);
    }
  });
});
