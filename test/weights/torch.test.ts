import { describe, expect, test } from 'vitest';
import { readMetadata, readStateDict, withWeightsFile } from '../../lib/weights/read.js';
import { bytesOf, described, EXPECTED, expectError, fixture } from './helpers.js';
import { bytes, dictOf, global, int, pickleOf, tensor, text, tuple } from './pickle-builder.js';
import { type MadeEntry, makeZip } from './zip-builder.js';

const FOUR_FLOATS = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);

/** An archive as torch writes it, around a pickle. */
function torchFile(pickle: Uint8Array, others: MadeEntry[] = [{ name: 'a/data/0', content: FOUR_FLOATS }]) {
  return makeZip([{ name: 'a/data.pkl', content: pickle }, ...others]);
}

describe('files made by torch', () => {
  const files = Object.keys(EXPECTED).filter((name) => name.endsWith('.pth'));
  expect(files.length).toBeGreaterThan(10);

  test.each(files)('%s holds what torch put in it, in that order', async (name) => {
    const state = described(await readStateDict(fixture(name)));
    expect(state).toEqual(EXPECTED[name]);
    expect(Object.keys(state)).toEqual(Object.keys(EXPECTED[name] ?? {}));
  });

  test('tensors of one storage are views of the same memory', async () => {
    const state = await readStateDict(fixture('views.pth'));
    const base = state.get('base');
    const offset = state.get('offset');
    expect(offset?.data.buffer).toBe(base?.data.buffer);
    expect((offset?.data.byteOffset ?? 0) - (base?.data.byteOffset ?? 0)).toBe(28);
  });

  test('all data lies in one block, at multiples of 64 as in the file', async () => {
    const state = await readStateDict(fixture('model.pth'));
    const data = [...state.values()].map((tensor) => tensor.data);
    expect(new Set(data.map(({ buffer }) => buffer)).size).toBe(1);
    expect(data.filter(({ byteOffset }) => byteOffset % 64 !== 0)).toEqual([]);
  });

  test('of a file that is open, only those that are asked for', async () => {
    const names = Object.keys(EXPECTED['model.pth'] ?? {}).slice(1, 3);
    const state = await withWeightsFile(fixture('model.pth'), async ({ tensors, read }) => {
      expect([...tensors.keys()]).toEqual(Object.keys(EXPECTED['model.pth'] ?? {}));
      return read(new Set(names));
    });
    const expected = Object.entries(EXPECTED['model.pth'] ?? {}).filter(([name]) => names.includes(name));
    expect(described(state)).toEqual(Object.fromEntries(expected));
    expect(names).toHaveLength(2);
  });

  test('have no metadata', async () => {
    expect(Object.keys(await readMetadata(fixture('model.pth')))).toEqual([]);
  });
});

describe('refused, by what they hold', () => {
  test.each([
    ['evil-called.pth', /"posix\.system"/],
    ['evil-named.pth', /"posix\.system".*state_dict\(\)/],
    ['evil-named-protocol4.pth', /"builtins\.eval"/],
    ['whole-module.pth', /"torch\.nn\.modules\.container\.Sequential".*state_dict\(\)/],
    ['sparse.pth', /_rebuild_sparse_tensor/],
    ['complex.pth', /ComplexFloatStorage/],
    ['negated.pth', /lazily negated/],
    ['no-tensors.pth', /no tensors.*"state_dict".*"epoch"/],
    ['bare-tensor.pth', /no tensors.*no dict/],
  ])('%s', async (name, message) => {
    await expectError(readStateDict(fixture(name)), 'WEIGHTS_FORMAT', message);
    await expectError(readStateDict(fixture(name)), 'WEIGHTS_FORMAT', new RegExp(`fixtures/${name}: `));
  });

  test('big-endian data', async () => {
    const file = torchFile(pickleOf(dictOf('w', tensor())), [
      { name: 'a/byteorder', content: Buffer.from('big') },
      { name: 'a/data/0', content: FOUR_FLOATS },
    ]);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /byte order is "big".*\.safetensors/);
  });

  test('TorchScript', async () => {
    const file = torchFile(pickleOf('}'), [{ name: 'a/constants.pkl', content: pickleOf(')') }]);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /TorchScript.*state_dict\(\)/);
  });

  test('other zip archives', async () => {
    const file = makeZip([{ name: 'word/document.xml', content: Buffer.from('<xml/>') }]);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /not one of torch's.*word\/document\.xml/);
  });

  test('an entry with another local name, even if no tensor needs it', async () => {
    const file = torchFile(pickleOf(dictOf('w', tensor())), [
      { name: 'a/data/0', content: FOUR_FLOATS },
      { name: 'a/version', localName: 'a/data/00', content: bytes('3\n') },
    ]);
    await expectError(
      readStateDict(file),
      'WEIGHTS_FORMAT',
      /names an entry "a\/version".*says "a\/data\/00"/,
    );
  });

  test('two pickles', async () => {
    const file = makeZip([
      { name: 'a/data.pkl', content: pickleOf('}') },
      { name: 'b/data.pkl', content: pickleOf('}') },
    ]);
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /expected one data\.pkl, found 2/);
  });
});

describe('made files', () => {
  test('a tensor over a storage', async () => {
    const state = await readStateDict(torchFile(pickleOf(dictOf('w', tensor()))));
    expect(state.get('w')).toEqual({ dtype: 'float32', shape: [4], data: Float32Array.of(1, 2, 3, 4) });
  });

  test('a key that would reach a prototype is a key like others', async () => {
    const state = await readStateDict(torchFile(pickleOf(dictOf('__proto__', tensor()))));
    expect([...state.keys()]).toEqual(['__proto__']);
    expect(({} as { dtype?: unknown }).dtype).toBeUndefined();
  });

  test.each([
    ['module.w', ['w']],
    ['_orig_mod.module.w', ['w']],
    ['module._orig_mod.w', ['w']],
    ['my_module.w', ['my_module.w']],
  ])('wrapper prefixes: %s', async (key, expected) => {
    const state = await readStateDict(torchFile(pickleOf(dictOf(key, tensor()))));
    expect([...state.keys()]).toEqual(expected);
  });

  describe('where a checkpoint has its state dict', () => {
    /** A checkpoint with a state dict under each key, of one tensor named after it. */
    const read = (...keys: string[]) => {
      const dicts = keys.map((key) => text(key) + dictOf(`in ${key}`, tensor()));
      const pickle = pickleOf('}', '(', text('loss'), tensor(), ...dicts, 'u');
      return readStateDict(torchFile(pickle));
    };

    test.each([
      'state_dict',
      'model_state_dict',
      'model',
      'net',
      'state_dict_ema',
      'model_ema',
      'ema_state_dict',
      'ema',
    ])('under %s', async (key) => {
      expect([...(await read(key)).keys()]).toEqual([`in ${key}`]);
    });

    test('weights go before their averages', async () => {
      expect([...(await read('model_ema', 'model')).keys()]).toEqual(['in model']);
    });

    test('two of the same rank are refused', async () => {
      await expectError(read('model', 'net'), 'WEIGHTS_FORMAT', /under "model" and "net".*by itself/);
      await expectError(read('ema', 'model_ema'), 'WEIGHTS_FORMAT', /under "model_ema" and "ema"/);
    });

    test('the number of averages goes with the prefix of its wrapper, and not without', async () => {
      const keysOf = async (...keys: string[]) => {
        const pickle = pickleOf('}', '(', ...keys.map((key) => text(key) + tensor()), 'u');
        return [...(await readStateDict(torchFile(pickle))).keys()];
      };
      expect(await keysOf('n_averaged', 'module.w')).toEqual(['w']);
      expect(await keysOf('n_averaged', 'w')).toEqual(['n_averaged', 'w']);
      expect(await keysOf('n_averaged')).toEqual(['n_averaged']);
    });
  });

  test('a prefix that not every key has stays', async () => {
    const pickle = pickleOf('}', '(', text('module.w'), tensor(), text('v'), tensor(), 'u');
    expect([...(await readStateDict(torchFile(pickle))).keys()]).toEqual(['module.w', 'v']);
  });

  test.each([
    ['an offset beyond the storage', { offset: int(1) }, /reaches to element 5.*has 4/],
    ['a negative offset', { offset: int(-1) }, /-1 in its offset/],
    ['a stride beyond the storage', { stride: tuple(int(2)) }, /reaches to element 7/],
    ['a negative stride', { stride: tuple(int(-1)) }, /-1 in its strides/],
    [
      'sizes whose product overflows',
      { shape: tuple(int(2 ** 31 - 1), int(2 ** 31 - 1)), stride: tuple(int(0), int(0)) },
      /over 2\^53/,
    ],
    ['a negative size', { shape: tuple(int(-4)) }, /-4 in its shape/],
    ['a size that is no integer', { shape: tuple(text('4')) }, /"4" in its shape/],
    ['more strides than sizes', { stride: tuple(int(1), int(1)) }, /1 sizes but 2 strides/],
    ['a shape that is no tuple', { shape: '}' }, /a dict for its shape/],
    [
      '65 axes',
      { shape: tuple(...Array(65).fill(int(1))), stride: tuple(...Array(65).fill(int(1))) },
      /a tuple for its shape/,
    ],
    ['no storage', { storage: 'N' }, /no storage/],
    ['a storage that is not there', { key: text('7') }, /no "a\/data\/7"/],
    ['a storage key with a path', { key: text('../data.pkl') }, /no "a\/data\/\.\.\/data\.pkl"/],
    ['a storage larger than its file', { count: int(5) }, /has 16 bytes; its pickle says 20/],
    [
      'a storage smaller than its file',
      { count: int(3), shape: tuple(int(3)) },
      /has 16 bytes; its pickle says 12/,
    ],
    [
      'a storage of another type',
      { type: global('torch', 'DoubleStorage') },
      /has 16 bytes; its pickle says 32/,
    ],
    ['a negative storage', { count: int(-1) }, /has -1 elements/],
    ['a storage of no type', { type: global('torch', 'Size') }, /no storage/],
  ])('refused: %s', async (_what, options, message) => {
    const file = torchFile(pickleOf(dictOf('w', tensor(options))));
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', message);
  });

  test('refused: two claims of one storage', async () => {
    const liar = tensor({ count: int(1000), shape: tuple(int(1000)) });
    const file = torchFile(pickleOf('}', '(', text('a'), liar, text('b'), tensor(), 'u'));
    await expectError(readStateDict(file), 'WEIGHTS_FORMAT', /two different things of storage "0"/);
  });

  test('refused: a few bytes that stand for terabytes', async () => {
    const huge = tensor({ shape: tuple(int(2 ** 20), int(2 ** 20)), stride: tuple(int(0), int(0)) });
    await expectError(
      readStateDict(torchFile(pickleOf(dictOf('w', huge)))),
      'WEIGHTS_FORMAT',
      /stand for 4398046511104/,
    );
  });

  test('a storage at any address is aligned for its type', async () => {
    for (let padding = 0; padding < 8; padding++) {
      const name = `a/${'x'.repeat(padding)}`;
      const file = torchFile(pickleOf(dictOf('w', tensor())), [
        { name, content: bytes('pad') },
        { name: 'a/data/0', content: FOUR_FLOATS },
      ]);
      const tensorRead = (await readStateDict(file)).get('w');
      expect(tensorRead?.data).toEqual(Float32Array.of(1, 2, 3, 4));
      expect(tensorRead && bytesOf(tensorRead)).toEqual(FOUR_FLOATS);
    }
  });
});

describe('a tensor with attributes, whose rebuilder gets arguments of the file', () => {
  const rebuilt = (name: string, args: string) =>
    `${global('torch._tensor', '_rebuild_from_type_v2')}${tuple(
      global('torch._utils', name),
      global('torch', 'Tensor'),
      args,
      '}',
    )}R`;
  const read = (piece: string) => readStateDict(torchFile(pickleOf(dictOf('w', piece))));

  test('is read', async () => {
    const state = await read(rebuilt('_rebuild_parameter', tuple(tensor(), '\x89', '}')));
    expect([...(state.get('w')?.data ?? [])]).toEqual([1, 2, 3, 4]);
  });

  test.each<[string, string, string]>([
    ['too many arguments', '_rebuild_parameter', tuple('N'.repeat(190_000))],
    ['a list of them', '_rebuild_parameter', ']'],
    ['another rebuilder that is none', '_rebuild_parameters', ')'],
  ])('with %s is refused', (_, name, args) =>
    expectError(() => read(rebuilt(name, args)), 'WEIGHTS_FORMAT', /pickle/),
  );

  test('counts what its arguments hold as steps', async () => {
    const long = text('x'.repeat(60_000));
    // Recalled, so that the file is small.
    const first = rebuilt('_rebuild_parameter', tuple(tensor(), `${long}q\x00`));
    const again = rebuilt('_rebuild_parameter', tuple(tensor(), 'h\x00'));
    const items = Array.from({ length: 40 }, (_, i) => `${text(`w${i}`)}${i === 0 ? first : again}s`).join(
      '',
    );
    await expectError(() => readStateDict(torchFile(pickleOf(`}${items}`))), 'WEIGHTS_FORMAT', /steps/);
  });
});
