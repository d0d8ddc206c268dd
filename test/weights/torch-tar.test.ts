import { describe, expect, test } from 'vitest';
import { readStateDict } from '../../lib/weights/read.js';
import { expectError } from './helpers.js';
import { int64, type MadeMember, makeTar, numbers } from './legacy-builder.js';
import { dictOf, global, int, long, pickleOf, text, tuple } from './pickle-builder.js';

const STORAGE = 7;
const TENSOR = 8;
const FOUR_FLOATS = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);

const typeOf = (kind: string) => global('torch', `Float${kind}`);
const refer = (id: string) => `${text(id)}Q`;

interface Lies {
  readonly storages?: number;
  readonly elements?: bigint;
  readonly type?: string;
  readonly views?: string;
  readonly tensors?: number;
  readonly storageId?: number;
  readonly rank?: bigint;
  readonly size?: bigint;
  readonly offset?: bigint;
  readonly object?: string;
}

/** The files of an archive as torch 0.1 wrote it, with one tensor of four floats. */
function membersWith(lies: Lies = {}): MadeMember[] {
  const { storages = 1, elements = 4n, type = typeOf('Storage'), views = ']', object = refer('8') } = lies;
  const { tensors = 1, storageId = STORAGE, rank = 1n, size = 4n, offset = 0n } = lies;
  return [
    {
      name: 'storages',
      content: Buffer.concat([
        pickleOf(int(storages)),
        pickleOf(tuple(long(BigInt(STORAGE)), text('cpu'), type)),
        ...[int64(elements), FOUR_FLOATS, pickleOf(views)],
      ]),
    },
    {
      name: 'tensors',
      content: Buffer.concat([
        pickleOf(int(tensors)),
        pickleOf(tuple(long(BigInt(TENSOR)), long(BigInt(storageId)), typeOf('Tensor'))),
        ...[rank, size, 1n, offset].map(int64),
      ]),
    },
    { name: 'pickle', content: pickleOf(dictOf('w', object)) },
  ];
}

const valuesOf = async (members: MadeMember[]) => [
  ...((await readStateDict(makeTar(members))).get('w')?.data ?? []),
];

describe('made archives', () => {
  test('a tensor over a storage', async () => {
    expect(await valuesOf(membersWith())).toEqual([1, 2, 3, 4]);
  });

  test('only four bytes of a rank count', async () => {
    expect(await valuesOf(membersWith({ rank: 1n | (0x7777n << 32n) }))).toEqual([1, 2, 3, 4]);
  });

  test('a tensor over a view of a storage', async () => {
    const view = { views: `](${numbers(9, STORAGE, 1, 3)}e`, storageId: 9 };
    expect(await valuesOf(membersWith({ ...view, offset: 1n, size: 2n }))).toEqual([3, 4]);
  });

  test('files of other kinds and names are passed over', async () => {
    const others = [
      { name: 'folder/', content: new Uint8Array(), type: '5' },
      { name: 'pickle', content: Buffer.from('20 mtime=1490000000.5\n'), type: 'x' },
      { name: 'sys_info', content: pickleOf('}') },
    ];
    expect(await valuesOf([...others, ...membersWith()])).toEqual([1, 2, 3, 4]);
  });
});

describe('refused', () => {
  test.each<[string, Lies, RegExp]>([
    ['more storages than there are', { storages: 2 }, /describes a storage by|cut off|no type/],
    ['an absurd number of storages', { storages: 2 ** 30 }, /says that it has 1073741824 storages/],
    ['a negative number of storages', { storages: -1 }, /has -1 storages/],
    ['a storage larger than its file', { elements: 1000n }, /1000 elements, more than follow/],
    ['an absurd storage', { elements: 2n ** 62n }, /elements/],
    ['a negative storage', { elements: -4n }, /-4 elements/],
    ['a storage of no type', { type: global('torch', 'Size') }, /no type/],
    ['views that are no list', { views: int(1) }, /has 1 for its views/],
    ['a view of nothing', { views: `](${numbers(9, 100, 0, 1)}e` }, /one that is not there/],
    [
      'a view beyond its storage',
      { views: `](${numbers(9, STORAGE, 2, 3)}e` },
      /reaches to element 5, but it has 4/,
    ],
    ['an absurd number of tensors', { tensors: 2 ** 30 }, /1073741824 tensors/],
    ['more tensors than there are', { tensors: 2 }, /cut off/],
    ['a tensor of no storage', { storageId: 100 }, /of a storage that is not there/],
    ['a tensor larger than its storage', { size: 5n }, /reaches to element 5, but the storage has 4/],
    ['a tensor that begins before its storage', { offset: -1n }, /-1 in its offset/],
    ['an absurd rank', { rank: 0xffff_ffffn }, /list of tensors is cut off/],
    ['a reference to nothing', { object: refer('9') }, /refers to "9"/],
    ['code', { object: global('os', 'system') }, /"os\.system"/],
    ['no tensors', { object: int(1) }, /holds no tensors/],
  ])('%s', async (_what, lies, message) => {
    await expectError(readStateDict(makeTar(membersWith(lies))), 'WEIGHTS_FORMAT', message);
  });

  test.each<[string, MadeMember[], RegExp]>([
    ['another archive', [{ name: 'cat.jpg', content: FOUR_FLOATS }], /not one of torch 0\.1.*"cat\.jpg"/],
    ['an archive without the object', membersWith().slice(0, 2), /expected storages, tensors and pickle/],
    ['two files of a name', [...membersWith(), ...membersWith()], /two files named "storages"/],
    [
      'a size of no digits',
      [{ name: 'pickle', content: FOUR_FLOATS, size: 'many' }],
      /"many" for the size of "pickle"/,
    ],
    [
      'a size beyond the end',
      [{ name: 'pickle', content: FOUR_FLOATS, size: '77777777777' }],
      /ends within "pickle"/,
    ],
  ])('%s', async (_what, members, message) => {
    await expectError(readStateDict(makeTar(members)), 'WEIGHTS_FORMAT', message);
  });
});
