import { describe, expect, test } from 'vitest';
import { type PickleHost, unpickle } from '../../lib/weights/pickle.js';
import { TORCH_GLOBALS } from '../../lib/weights/torch-globals.js';
import { expectError } from './helpers.js';
import { bytes, dictOf, global, int, long, pickleOf, text, tuple, uint32 } from './pickle-builder.js';

const HOST: PickleHost = { globals: TORCH_GLOBALS, persistentLoad: (id) => ({ persistent: id }) };

function load(...pieces: string[]): unknown {
  return unpickle(pickleOf(...pieces), HOST).value;
}

describe('values', () => {
  test.each<[string, string, unknown]>([
    ['None', 'N', null],
    ['True', '\x88', true],
    ['False', '\x89', false],
    ['a byte', 'K\xff', 255],
    ['two bytes', 'M\x01\x02', 513],
    ['a negative integer', int(-5), -5],
    ['the empty long', '\x8a\x00', 0],
    ['a small long', long(-3n), -3],
    ['the largest safe long', long(BigInt(Number.MAX_SAFE_INTEGER)), Number.MAX_SAFE_INTEGER],
    ['a long beyond 2^53', long(2n ** 60n), 2n ** 60n],
    ['a LONG4', `\x8b${uint32(2)}\x00\x80`, -32768],
    ['a float', 'G\x3f\xf8\x00\x00\x00\x00\x00\x00', 1.5],
    ['text', text('größe 🙂'), 'größe 🙂'],
    ['text with a byte order mark', text('\ufeffa'), '\ufeffa'],
    ['short text', '\x8c\x02ab', 'ab'],
    ['a str of Python 2', 'U\x02ab', 'ab'],
    ['bytes', 'C\x02\x00\xff', Uint8Array.of(0, 255)],
    ['a list', '](K\x01K\x02e', [1, 2]],
    ['a list by items', ']K\x01aK\x02a', [1, 2]],
    ['tuples', 'K\x00K\x01\x85K\x02K\x03\x86\x87', [0, [1], [2, 3]]],
    [
      'a dict',
      '}(K\x01K\x02K\x03K\x04u',
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ],
    ['a set', '\x8f(K\x01K\x01\x90', new Set([1])],
    ['an OrderedDict', `${global('collections', 'OrderedDict')})R`, new Map()],
    [
      'an OrderedDict of pairs',
      `${global('collections', 'OrderedDict')}](](K\x01K\x02ee\x85R`,
      new Map([[1, 2]]),
    ],
    ['a torch.Size', `${global('torch', 'Size')}${tuple('K\x02')}\x85R`, [2]],
    [
      'bytes as protocol 2 has them',
      `${global('_codecs', 'encode')}${text('\xff')}${text('latin1')}\x86R`,
      Uint8Array.of(255),
    ],
    ['a persistent id', `${text('x')}Q`, { persistent: 'x' }],
  ])('%s', (_what, pieces, expected) => {
    expect(load(pieces)).toEqual(expected);
  });

  test('memo: what is recalled is the same object', () => {
    const list = load(']q\x05h\x05\x86') as unknown[];
    expect(list[0]).toBe(list[1]);
    const memoized = load(']\x94h\x00\x86') as unknown[];
    expect(memoized[0]).toBe(memoized[1]);
    const long = load(`]r${uint32(70000)}j${uint32(70000)}\x86`) as unknown[];
    expect(long[0]).toBe(long[1]);
  });

  test('attributes of a dict are dropped', () => {
    expect(load(`${global('collections', 'OrderedDict')})R`, dictOf('_metadata', '}'), 'b')).toEqual(
      new Map(),
    );
  });

  test('STOP ends it, and what follows can be read from there', () => {
    const two = bytes('\x80\x02K\x01.', '\x80\x02K\x02.', 'rest');
    const first = unpickle(two, HOST);
    expect(first).toEqual({ value: 1, end: 5 });
    expect(unpickle(two, HOST, first.end)).toEqual({ value: 2, end: 10 });
  });
});

describe('globals', () => {
  test.each([
    ['called', global('os', 'system'), `${text('ls')}\x85R`],
    ['never called', global('os', 'system'), ''],
    ['named and thrown away', global('os', 'system'), '0N'],
    ['named from the stack', `${text('os')}${text('system')}\x93`, ''],
    ['made with NEWOBJ', global('os', 'system'), ')\x81'],
  ])('off the list: %s', async (_how, name, rest) => {
    await expectError(() => load(name, rest), 'WEIGHTS_FORMAT', /"os\.system".*refused/);
  });

  test.each([
    '__builtin__.eval',
    'builtins.getattr',
    'torch.load',
    'numpy.core.multiarray._reconstruct',
    'torch.FloatStorage.__init__',
  ])('off the list: %s', async (path) => {
    const dot = path.lastIndexOf('.');
    await expectError(
      () => load(global(path.slice(0, dot), path.slice(dot + 1))),
      'WEIGHTS_FORMAT',
      new RegExp(`"${path.replaceAll('.', '\\.')}"`),
    );
  });

  test('a name of the language is not found on the list', async () => {
    for (const name of ['constructor', '__proto__', 'hasOwnProperty'])
      await expectError(() => load(global('', name)), 'WEIGHTS_FORMAT', /refused/);
  });

  test.each([
    ['data', `${text('os')}${text('ls')}\x85R`, /calls "os"/],
    ['a dict', '})R', /calls a dict/],
    ['None', 'N)R', /calls null/],
    [
      'a type that is only named',
      `${global('torch', 'FloatStorage')})R`,
      /calls torch\.FloatStorage, which cannot/,
    ],
    ['without a tuple', `${global('collections', 'OrderedDict')}]R`, /no tuple/],
    [
      'with thousands of arguments',
      `${global('collections', 'OrderedDict')}(${'N'.repeat(5000)}tR`,
      /no tuple/,
    ],
  ])('not callable: %s', async (_what, pieces, message) => {
    await expectError(() => load(pieces), 'WEIGHTS_FORMAT', message);
  });
});

describe('damage', () => {
  test.each([
    ['nothing', bytes(), /cut off/],
    ['no STOP', bytes('\x80\x02N'), /cut off/],
    ['an empty stack', bytes('\x80\x02.'), /more than it has made/],
    ['protocol 1', bytes('\x80\x01N.'), /protocol 1/],
    ['protocol 6', bytes('\x80\x06N.'), /protocol 6/],
    ['an opcode of protocol 0', pickleOf('I1\n'), /opcode 0x49 at 2/],
    ['an unknown opcode', pickleOf('\xff'), /opcode 0xff at 2/],
    ['text beyond the end', pickleOf(`X${uint32(0xffffffff)}a`), /cut off/],
    ['text of 2^63 bytes', pickleOf(`\x8d${'\xff'.repeat(8)}a`), /cut off/],
    ['text that is not UTF-8', pickleOf('U\x01\xff'), /not UTF-8/],
    ['a global without its end', pickleOf('cos\nsystem'), /cut off/],
    ['a huge integer', pickleOf(`\x8b${uint32(100000)}`, 'a'.repeat(100000)), /absurd length/],
    ['a memo that was never set', pickleOf('h\x07'), /recalls 7/],
    ['a missing mark', pickleOf('K\x01t'), /no mark/],
    ['a key without a value', pickleOf('}(K\x01u'), /without a value/],
    ['items of a list', pickleOf(']K\x01K\x02s'), /items of a list/],
    ['appending to a dict', pickleOf('}K\x01a'), /appends to a dict/],
    ['appending to a tuple', pickleOf(')K\x01a'), /appends to a tuple/],
    ['adding to a list', pickleOf('](K\x01\x90'), /adds to a list/],
    ['attributes of a list', pickleOf(']}b'), /attributes of a list/],
  ])('%s', async (_what, stream, message) => {
    await expectError(() => unpickle(stream, HOST), 'WEIGHTS_FORMAT', message);
  });

  test('everything cut short is an error', async () => {
    const whole = pickleOf(
      '}(',
      text('a'),
      ']K\x01a',
      text('b'),
      tuple(long(5n), 'G\x00\x00\x00\x00\x00\x00\x00\x00'),
      'u',
    );
    for (let length = 0; length < whole.length; length++)
      await expectError(() => unpickle(whole.subarray(0, length), HOST), 'WEIGHTS_FORMAT', /./);
    expect(unpickle(whole, HOST).value).toBeInstanceOf(Map);
  });
});

describe('limits', () => {
  test('steps', async () => {
    await expectError(() => load('N0'.repeat(1_000_001)), 'WEIGHTS_FORMAT', /over 2000000 steps/);
  });

  test('depth of the stack', async () => {
    await expectError(() => load('N'.repeat(200_001)), 'WEIGHTS_FORMAT', /nests too deep/);
    await expectError(() => load('('.repeat(200_001)), 'WEIGHTS_FORMAT', /nests too deep/);
  });

  test('copies made again and again of one large thing', async () => {
    const list = `](${'N'.repeat(100_000)}e`;
    const call = `${global('builtins', 'set')}h\x00\x85R0`;
    await expectError(() => load(list, 'q\x00', call.repeat(100)), 'WEIGHTS_FORMAT', /steps/);
  });

  test('a list that holds itself, and lists that multiply, end in a message', async () => {
    await expectError(() => load(']q\x00h\x00a', '}s'), 'WEIGHTS_FORMAT', /./);
    const multiply = ']q\x00(h\x00h\x00h\x00h\x00e'.repeat(1000);
    await expectError(() => load(multiply, '\x85R'), 'WEIGHTS_FORMAT', /./);
  });
});
