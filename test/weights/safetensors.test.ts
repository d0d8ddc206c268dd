import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../lib/graph/graph.js';
import { parseGraph } from '../../lib/graph/serialize.js';
import { readMetadata, readStateDict } from '../../lib/weights/read.js';
import { openSafetensors } from '../../lib/weights/safetensors.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import type { ByteSource } from '../../lib/weights/source.js';
import type { StateDict, StateTensor } from '../../lib/weights/state-dict.js';
import { described, EXPECTED, expectError, fixture, makeSafetensors, temporaryFolder } from './helpers.js';

const folder = temporaryFolder();

/** Remembers what was read of it, as [start, end). */
class RecordingSource implements ByteSource {
  readonly file = undefined;
  readonly name = 'recorded';
  readonly reads: [start: number, end: number][] = [];

  constructor(private readonly bytes: Uint8Array) {}

  get size(): number {
    return this.bytes.length;
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    this.reads.push([position, position + target.length]);
    target.set(this.bytes.subarray(position, position + target.length));
  }

  async close(): Promise<void> {}
}

describe('reads', () => {
  test("what Python's library writes", async () => {
    expect(described(await readStateDict(fixture('python.safetensors')))).toEqual(
      EXPECTED['python.safetensors'],
    );
    const metadata = await readMetadata(fixture('python.safetensors'));
    expect({ ...metadata }).toEqual({ format: 'pt', größe: '"quoted" \\ 🙂' });
  });

  test('tensors as views of one block, in the order of the header, keys that look like numbers too', async () => {
    const file = makeSafetensors(
      '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"0":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ',
      new Uint8Array(Float32Array.of(1, 2).buffer),
    );
    const state = await readStateDict(file);
    expect([...state]).toEqual([
      ['b', { dtype: 'float32', shape: [1], data: Float32Array.of(2) }],
      ['0', { dtype: 'float32', shape: [1], data: Float32Array.of(1) }],
    ]);
    expect(state.get('b')?.data.buffer).toBe(state.get('0')?.data.buffer);
  });

  test('a tensor that is not aligned, as a copy', async () => {
    const data = Buffer.concat([Uint8Array.of(7), new Uint8Array(Float32Array.of(1.5, -2).buffer)]);
    const header = {
      odd: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
      w: { dtype: 'F32', shape: [2], data_offsets: [1, 9] },
    };
    const state = await readStateDict(makeSafetensors(header, data));
    expect(state.get('w')?.data).toEqual(Float32Array.of(1.5, -2));
  });

  test('only the tensors that are asked for, neighbours with one read', async () => {
    const header = {
      d: { dtype: 'F32', shape: [1], data_offsets: [12, 16] },
      a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      none: { dtype: 'F32', shape: [0], data_offsets: [8, 8] },
      b: { dtype: 'F32', shape: [1], data_offsets: [4, 8] },
      c: { dtype: 'F32', shape: [1], data_offsets: [8, 12] },
    };
    const file = makeSafetensors(header, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
    const dataStart = file.length - 16;
    const source = new RecordingSource(file);
    const { read, tensors } = await openSafetensors(source);
    expect([...tensors.keys()]).toEqual(['d', 'a', 'none', 'b', 'c']);
    source.reads.length = 0;
    const state = await read(new Set(['a', 'b', 'none', 'd', 'elsewhere']));
    expect(source.reads).toEqual([
      [dataStart, dataStart + 8],
      [dataStart + 12, dataStart + 16],
    ]);
    expect([...state].map(([name, { data }]) => [name, ...data])).toEqual([
      ['d', 4],
      ['a', 1],
      ['none'],
      ['b', 2],
    ]);
  });

  test('names that would reach a prototype', async () => {
    const header =
      '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"__proto__":"x","constructor":"y"}}';
    const file = makeSafetensors(header, Uint8Array.of(1));
    expect([...(await readStateDict(file)).keys()]).toEqual(['__proto__']);
    const metadata = await readMetadata(file);
    expect(Object.entries(metadata)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    expect(Object.getPrototypeOf(metadata)).toBeNull();
  });
});

const ONE = { dtype: 'U8', shape: [1], data_offsets: [0, 1] };

describe('refuses', () => {
  test.each<[string, unknown, RegExp]>([
    ['no JSON', '{"a":', /no valid JSON/],
    ['deep nesting', `{"a":${'['.repeat(1_000_000)}`, /no valid JSON/],
    [
      'deep nesting in good order',
      `{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`,
      /described by no object/,
    ],
    [
      'a shape that nests',
      `{"a":{"dtype":"U8","shape":[${'['.repeat(1000)}${']'.repeat(1000)}],"data_offsets":[0,1]}}`,
      /a list of 1, which is no size/,
    ],
    ['a tensor that is no object', { a: 1 }, /"a" is described by no object/],
    ['a key twice', `{"a":${JSON.stringify(ONE)},"a":${JSON.stringify(ONE)}}`, /the key "a" twice/],
    [
      'a key twice, once escaped',
      `{"a":${JSON.stringify(ONE)},"\\u0061":${JSON.stringify(ONE)}}`,
      /the key "a" twice/,
    ],
    [
      'a field twice',
      '{"a":{"dtype":"U8","dtype":"F32","shape":[1],"data_offsets":[0,1]}}',
      /the key "dtype" twice/,
    ],
    ['metadata twice', '{"__metadata__":{"k":"1","k":"2"}}', /the key "k" twice/],
    ['metadata that is no object', { __metadata__: 'x' }, /__metadata__ is no object/],
    ['metadata of another type', { __metadata__: { a: 1 } }, /metadata "a" is 1, not a string/],
    ['an unknown dtype', { a: { ...ONE, dtype: 'F4' } }, /"a" has the dtype "F4"; read are F64, F32/],
    [
      'a dtype that is a name of the language',
      { a: { ...ONE, dtype: 'constructor' } },
      /dtype "constructor"/,
    ],
    ['no dtype', { a: { ...ONE, dtype: undefined } }, /dtype none/],
    ['no shape', { a: { ...ONE, shape: 1 } }, /has no shape/],
    ['a negative size', { a: { ...ONE, shape: [-1] } }, /-1, which is no size/],
    ['a broken size', { a: { ...ONE, shape: [0.5] } }, /0\.5, which is no size/],
    ['a shape that overflows', { a: { ...ONE, shape: [2 ** 40, 2 ** 40] } }, /over 2\^53/],
    ['no offsets', { a: { ...ONE, data_offsets: [0] } }, /no two data_offsets/],
    ['offsets that are no integers', { a: { ...ONE, data_offsets: ['0', '1'] } }, /no two data_offsets/],
    ['a shape of other bytes', { a: { ...ONE, shape: [2] } }, /of shape \[2\] needs 2 bytes but has 1/],
    ['offsets in reverse', { a: { ...ONE, data_offsets: [1, 0] } }, /needs 1 bytes but has -1/],
    ['offsets before the data', { a: { ...ONE, data_offsets: [-1, 0] } }, /begins at byte -1/],
    ['a hole', { a: { ...ONE, data_offsets: [1, 2] } }, /begins at byte 1 .* ends at 0/],
    ['an overlap', { a: ONE, b: ONE }, /"b" begins at byte 0 .* ends at 1/],
    [
      'tensors beyond the end',
      { a: { ...ONE, shape: [9], data_offsets: [0, 9] } },
      /take 9 bytes but 1 follow.*cut off/,
    ],
  ])('%s', async (_what, header, message) => {
    await expectError(readStateDict(makeSafetensors(header, Uint8Array.of(1))), 'WEIGHTS_FORMAT', message);
  });

  test('no tensors', async () => {
    await expectError(readStateDict(makeSafetensors({})), 'WEIGHTS_FORMAT', /no tensors/);
    const metadata = { __metadata__: { a: 'b' } };
    await expectError(readStateDict(makeSafetensors(metadata)), 'WEIGHTS_FORMAT', /no tensors/);
  });

  test('data that no tensor uses', async () => {
    await expectError(
      readStateDict(makeSafetensors({ a: ONE }, new Uint8Array(5))),
      'WEIGHTS_FORMAT',
      /take 1 bytes but 5/,
    );
  });

  test('a header beyond the end, or of another size', async () => {
    const file = Buffer.from(makeSafetensors({ a: ONE }, Uint8Array.of(1)));
    file.writeBigUInt64LE(20n * 2n ** 20n);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /cut off/);
    file.writeBigUInt64LE(2n ** 63n);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /no known kind/);
  });

  test('text that is not UTF-8', async () => {
    const file = Buffer.from(makeSafetensors({ a: ONE }, Uint8Array.of(1)));
    file[10] = 0xff;
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /not UTF-8/);
  });
});

describe('writes', () => {
  test("what Python's library was found to read, to the byte", async () => {
    const path = join(folder, 'ours.safetensors');
    await saveSafetensors(path, await readStateDict(fixture('dtypes.pth')), {
      metadata: { note: 'größe "🙂"' },
    });
    expect(readFileSync(path).equals(readFileSync(fixture('ours.safetensors')))).toBe(true);
  });

  test('every dtype, so that it comes back the same and in the same order', async () => {
    const state = described(await readStateDict(fixture('ours.safetensors')));
    expect(state).toEqual(EXPECTED['dtypes.pth']);
    expect(Object.keys(state)).toEqual(Object.keys(EXPECTED['dtypes.pth'] ?? {}));
  });

  test('tensors at multiples of their element size, whatever their order', async () => {
    const path = join(folder, 'aligned.safetensors');
    const state: StateDict = new Map<string, StateTensor>([
      ['3', { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['2', { dtype: 'float32', shape: [], data: Float32Array.of(4) }],
      ['1', { dtype: 'int64', shape: [1, 1], data: BigInt64Array.of(-5n) }],
      ['0', { dtype: 'float64', shape: [0], data: new Float64Array() }],
    ]);
    await saveSafetensors(path, state);
    const back = await readStateDict(path);
    expect([...back]).toEqual([...state]);
    expect(new Set([...back.values()].map(({ data }) => data.buffer)).size).toBe(1);
    expect(Object.keys(await readMetadata(path))).toEqual([]);
  });

  test('a model with its graph, transform and class names; metadata of the caller wins', async () => {
    const graph: Graph = {
      version: 1,
      nodes: [{ name: 'x', op: 'input', inputs: [], channels: 3 }],
      aliases: { logits: 'x' },
    };
    const state: StateDict = new Map([
      ['w', { dtype: 'float32', shape: [1], data: Float32Array.of(1) } as const],
    ]);
    const model = {
      graph,
      transform: { resizeSize: 256, cropSize: 224, mean: [0], std: [1] },
      categories: ['cat', 'dog'],
      stateDict: () => state,
    };
    const path = join(folder, 'model.safetensors');
    await saveSafetensors(path, model, { metadata: { categories: '["a","b"]', source: 'test' } });
    const metadata = await readMetadata(path);
    expect(parseGraph(metadata.graph ?? '')).toEqual(graph);
    expect(metadata.transform).toBe('{"resizeSize":256,"cropSize":224,"mean":[0],"std":[1]}');
    expect(metadata.categories).toBe('["a","b"]');
    expect(metadata.source).toBe('test');
    await saveSafetensors(path, { ...model, categories: undefined });
    expect(Object.keys(await readMetadata(path))).toEqual(['graph', 'transform']);
  });

  test('over an older file, and leaves nothing else behind', async () => {
    const path = join(folder, 'again.safetensors');
    const state = await readStateDict(fixture('model.pth'));
    await writeFile(path, 'older');
    await saveSafetensors(path, state);
    expect(described(await readStateDict(path))).toEqual(EXPECTED['model.pth']);
    expect(readdirSync(folder).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  const tensor: StateTensor = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };

  test.each<[string, unknown, RegExp]>([
    ['no state dict', undefined, /a state dict \(a Map\) or a model for state but received undefined/],
    ['an object', { a: tensor }, /a state dict/],
    ['a key that is no string', new Map([[1, tensor]]), /key of a tensor but received 1/],
    ['a key that the format uses', new Map([['__metadata__', tensor]]), /__metadata__/],
    [
      'an unknown dtype',
      new Map([['a', { ...tensor, dtype: 'float33' }]]),
      /dtype of a but received "float33".*"float32"/,
    ],
    ['no tensor', new Map([['a', null]]), /dtype of a/],
    [
      'data of another type',
      new Map([['a', { ...tensor, dtype: 'float16' }]]),
      /a Uint16Array for the data of a/,
    ],
    [
      'a shape of other size',
      new Map([['a', { ...tensor, shape: [3] }]]),
      /2 elements in all for the shape of a/,
    ],
  ])('not: %s', async (_what, state, message) => {
    await expectError(saveSafetensors(join(folder, 'bad'), state as StateDict), 'INVALID_ARGUMENT', message);
  });

  test('not: metadata that are no strings', async () => {
    const options = { metadata: { a: 1 as unknown as string } };
    await expectError(
      saveSafetensors(join(folder, 'bad'), new Map(), options),
      'INVALID_ARGUMENT',
      /metadata\.a/,
    );
  });

  test('not: into a folder that is not there, or over a folder', async () => {
    const state = new Map([['a', tensor]]);
    await expectError(
      saveSafetensors(join(folder, 'no', 'file'), state),
      'FILE',
      /Cannot write .*no such folder/,
    );
    await expectError(saveSafetensors(folder, state), 'FILE', /Cannot write/);
    await expectError(saveSafetensors('', state), 'INVALID_ARGUMENT', /a path/);
  });
});
