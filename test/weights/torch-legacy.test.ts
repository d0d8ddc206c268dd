import { describe, expect, test } from 'vitest';
import { readStateDict } from '../../lib/weights/read.js';
import { expectError, fixture } from './helpers.js';
import { legacyFile, type MadeStorage } from './legacy-builder.js';
import { dictOf, global, int, long, pickleOf, tensor, text, tuple } from './pickle-builder.js';

const FOUR_FLOATS = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
const FOUR: readonly MadeStorage[] = [{ content: FOUR_FLOATS }];

/** A storage of four floats, with what is said of a view of it. */
function storage({ count = int(4), view = 'N', type = 'FloatStorage', key = text('0') } = {}): string {
  return `${tuple(text('storage'), global('torch', type), key, text('cpu'), count, view)}Q`;
}

/** A view: its key, offset and elements. */
const view = (offset: string, count: string) => tuple(text('view'), offset, count);

/** How torch before 0.4 wrote a tensor. */
function oldTensor(from: string): string {
  return `${global('torch._utils', '_rebuild_tensor')}${tuple(from, int(0), tuple(int(4)), tuple(int(1)))}R`;
}

/** A parameter before 0.4: called with a tensor, and given its other attributes. */
function oldParameter(state: string): string {
  const parameter = `${global('torch.nn.parameter', 'Parameter')}${tuple(oldTensor(storage()))}R`;
  return `${parameter}${state}b`;
}

/** float64 over bytes, of which the storage is a view that begins at the second. */
function unaligned(count: number, parts: { shape: string; stride: string }): string {
  const bytes = storage({ type: 'ByteStorage', count: int(count), view: view(int(1), int(count - 1)) });
  const rest = tuple(bytes, int(0), parts.shape, parts.stride, '\x89', NO_HOOKS, global('torch', 'float64'));
  return `${global('torch._utils', '_rebuild_tensor_v3')}${rest}R`;
}

const NO_HOOKS = `${global('collections', 'OrderedDict')})R`;
const pickle = (value: string) => pickleOf(dictOf('w', value));
const honest = (value: string) => legacyFile(pickle(value), FOUR);

async function valuesOf(file: Uint8Array): Promise<number[]> {
  return [...((await readStateDict(file)).get('w')?.data ?? [])].map(Number);
}

describe('made files', () => {
  test('a tensor over a storage', async () => {
    expect(await valuesOf(honest(tensor({ storage: storage() })))).toEqual([1, 2, 3, 4]);
  });

  test('a tensor over a view of a storage counts from where that begins', async () => {
    const options = { storage: storage({ view: view(int(1), int(3)) }), offset: int(1) };
    expect(await valuesOf(honest(tensor({ ...options, shape: tuple(int(2)) })))).toEqual([3, 4]);
    const repeated = { shape: tuple(int(2), int(2)), stride: tuple(int(0), int(1)) };
    expect(await valuesOf(honest(tensor({ ...options, ...repeated })))).toEqual([3, 4, 3, 4]);
  });

  test('tensors of one storage and of a view of it share memory', async () => {
    const part = tensor({ storage: storage({ view: view(int(2), int(2)) }), shape: tuple(int(2)) });
    const file = legacyFile(
      pickleOf('}', '(', text('a'), tensor({ storage: storage() }), text('b'), part, 'u'),
      FOUR,
    );
    const state = await readStateDict(file);
    expect(state.get('b')?.data).toEqual(Float32Array.of(3, 4));
    expect(state.get('b')?.data.buffer).toBe(state.get('a')?.data.buffer);
  });

  test.each([
    ['a tensor', oldTensor(storage())],
    ['a parameter', oldParameter(tuple('\x88', '\x89', NO_HOOKS))],
    ['a parameter without hooks', oldParameter(tuple('\x88', '\x89', 'N'))],
  ])('%s of torch before 0.4', async (_what, value) => {
    expect(await valuesOf(honest(value))).toEqual([1, 2, 3, 4]);
  });

  test('storages are found in the order of their list, and are aligned', async () => {
    const b = tensor({ storage: storage({ key: text('b'), count: int(1) }), shape: tuple(int(1)) });
    for (let padding = 0; padding < 8; padding++) {
      const object = pickleOf(
        '}',
        '(',
        text('x'.repeat(padding)),
        'N',
        text('w'),
        tensor({ storage: storage() }),
        text('v'),
        b,
        'u',
      );
      const state = await readStateDict(
        legacyFile(object, [{ key: 'b', content: new Uint8Array(Float32Array.of(9).buffer) }, ...FOUR]),
      );
      expect(state.get('w')?.data).toEqual(Float32Array.of(1, 2, 3, 4));
      expect(state.get('v')?.data).toEqual(Float32Array.of(9));
      for (const { data } of state.values()) expect(data.byteOffset % 64).toBe(0);
    }
  });

  test('a pickle of any length is read', async () => {
    const object = (length: number) =>
      pickleOf(
        '}',
        '(',
        text('note'),
        text('x'.repeat(length)),
        text('w'),
        tensor({ storage: storage() }),
        'u',
      );
    for (const length of [3000, 3700, 4000, 40_000, 3_000_000])
      expect(await valuesOf(legacyFile(object(length), FOUR))).toEqual([1, 2, 3, 4]);
  });

  test('a view that is not aligned for its dtype is copied', async () => {
    const content = Buffer.concat([Buffer.of(0), new Uint8Array(Float64Array.of(1, 2).buffer), Buffer.of(0)]);
    const of = (shape: string, stride: string) =>
      valuesOf(legacyFile(pickle(unaligned(18, { shape, stride })), [{ content, count: 18n }]));
    expect(await of(tuple(int(2)), tuple(int(1)))).toEqual([1, 2]);
    expect(await of(tuple(int(3)), tuple(int(0)))).toEqual([1, 1, 1]);
  });

  test('what follows the storages is left alone, as by torch', async () => {
    const file = honest(tensor({ storage: storage() }));
    expect(await valuesOf(Buffer.concat([file, file]))).toEqual([1, 2, 3, 4]);
  });
});

describe('refused', () => {
  test('a pickle of over 32 MiB', async () => {
    const huge = pickleOf(text('x'.repeat(33 * 2 ** 20)));
    await expectError(readStateDict(legacyFile(huge, [])), 'WEIGHTS_FORMAT', /pickle of over 33554432 bytes/);
  });

  test('code', async () => {
    await expectError(
      readStateDict(fixture('legacy-evil.pth')),
      'WEIGHTS_FORMAT',
      /legacy-evil.*"posix\.system"/,
    );
    const module = `${tuple(text('module'), global('models', 'Net'), text('net.py'), text('class Net'))}Q`;
    await expectError(readStateDict(honest(module)), 'WEIGHTS_FORMAT', /"models\.Net".*state_dict\(\)/);
  });

  test.each<[string, Parameters<typeof legacyFile>[2] | undefined, RegExp]>([
    [
      'another number',
      { magic: pickleOf('\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x18') },
      /not with that one's number/,
    ],
    ['another version', { protocol: pickleOf(int(1002)) }, /version 1002.*1001 is read/],
    ['a list that lacks a storage', { keys: ']' }, /no storage "0", which a tensor needs/],
    ['a list with a storage twice', { keys: `](${text('0')}${text('0')}e` }, /names one twice/],
    ['a list with a storage of no type', { keys: `](${text('0')}${text('1')}e` }, /that its pickle does not/],
    ['a list that is none', { keys: int(5) }, /has 5 for the keys/],
  ])('%s', async (_what, parts, message) => {
    const file = legacyFile(pickle(tensor({ storage: storage() })), FOUR, parts);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', message);
  });

  test.each<[string, string, RegExp]>([
    [
      'a view beyond its storage',
      storage({ view: view(int(2), int(3)) }),
      /view of storage "0" reaches to element 5/,
    ],
    ['a view before its storage', storage({ view: view(int(-1), int(3)) }), /offset of a view.*-1 elements/],
    [
      'a tensor beyond its view',
      storage({ view: view(int(1), int(3)) }),
      /reaches to element 4, but the storage has 3/,
    ],
    ['a view that is no tuple', storage({ view: text('view') }), /for a view/],
    ['more elements than the file has', storage({ count: int(5) }), /storages reach to .*cut off/],
    ['an absurd number of elements', storage({ count: long(2n ** 52n) }), /elements/],
    ['a negative number of elements', storage({ count: int(-1) }), /-1 elements/],
  ])('%s', async (_what, from, message) => {
    await expectError(readStateDict(honest(tensor({ storage: from }))), 'WEIGHTS_FORMAT', message);
  });

  test('fewer elements than the file has', async () => {
    const three = tensor({ storage: storage({ count: int(3) }), shape: tuple(int(3)) });
    await expectError(readStateDict(honest(three)), 'WEIGHTS_FORMAT', /has 4 elements; its pickle says 3/);
  });

  test('counts in another byte order', async () => {
    const file = legacyFile(pickle(tensor({ storage: storage() })), [
      { content: FOUR_FLOATS, count: 4n << 56n },
    ]);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /another byte order/);
  });

  test('a parameter whose state would replace its data', async () => {
    const state = tuple(oldTensor(storage()), 'N', '\x88', '\x89', NO_HOOKS);
    await expectError(readStateDict(honest(oldParameter(state))), 'WEIGHTS_FORMAT', /sets attributes/);
  });

  test('a megabyte that would be copied again and again', async () => {
    const content = new Uint8Array(2 ** 20);
    const parts = { shape: tuple(int(2)), stride: tuple(int(0)) };
    const entries = Array.from({ length: 300 }, (_, i) => text(`w${i}`) + unaligned(content.length, parts));
    const file = legacyFile(pickleOf('}', '(', ...entries, 'u'), [
      { content, count: BigInt(content.length) },
    ]);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /stand for 31\d{7} in memory/);
  });

  test('many empty storages, each of which takes its place in the file', async () => {
    const keys = Array.from({ length: 1000 }, (_, i) => String(i));
    const empty = (key: string) =>
      tensor({ storage: storage({ key: text(key), count: int(0) }), shape: tuple(int(0)) });
    const object = pickleOf('}', '(', ...keys.map((key) => text(`w${key}`) + empty(key)), 'u');
    const storages = keys.map((key) => ({ key, content: new Uint8Array() }));
    const whole = legacyFile(object, storages);
    expect((await readStateDict(whole)).size).toBe(1000);
    await expectError(readStateDict(whole.subarray(0, -1)), 'WEIGHTS_FORMAT', /cut off/);
  });
});
