import { describe, expect, test } from 'vitest';
import { openSource } from '../../lib/weights/source.js';
import { ZipArchive } from '../../lib/weights/zip.js';
import { expectError } from './helpers.js';
import { type MadeEntry, makeZip } from './zip-builder.js';

const HELLO = Buffer.from('hello');

async function read(file: Uint8Array, ...names: string[]): Promise<Record<string, string>> {
  const archive = await ZipArchive.open(await openSource(file));
  const contents = await archive.read(names.length > 0 ? names : archive.names());
  return Object.fromEntries([...contents].map(([name, content]) => [name, Buffer.from(content).toString()]));
}

const entry = (name: string, more: Partial<MadeEntry> = {}): MadeEntry => ({ name, content: HELLO, ...more });

describe('reads', () => {
  test('stored, deflated and empty entries', async () => {
    const file = makeZip([
      entry('a/stored'),
      entry('a/deflated', { content: Buffer.from('x'.repeat(5000)), deflate: true }),
      entry('a/empty', { content: Buffer.alloc(0) }),
      entry('a/empty deflated', { content: Buffer.alloc(0), deflate: true }),
    ]);
    expect(await read(file)).toEqual({
      'a/stored': 'hello',
      'a/deflated': 'x'.repeat(5000),
      'a/empty': '',
      'a/empty deflated': '',
    });
  });

  test('any choice of entries, in any order, from wherever they lie', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `a/${i}`);
    const file = makeZip(names.map((name) => entry(name, { content: Buffer.from(name.repeat(20)) })));
    for (let step = 1; step < 8; step++) {
      const chosen = names.filter((_, i) => i % step === 0).reverse();
      expect(await read(file, ...chosen)).toEqual(
        Object.fromEntries(chosen.map((name) => [name, name.repeat(20)])),
      );
    }
  });

  test('names that are not ASCII', async () => {
    expect(await read(makeZip([entry('größe/🙂')]))).toEqual({ 'größe/🙂': 'hello' });
  });

  test('a directory larger than the end that is searched for it', async () => {
    const names = Array.from({ length: 2000 }, (_, i) => `folder/${'long '.repeat(10)}${i}`);
    const archive = await ZipArchive.open(await openSource(makeZip(names.map((name) => entry(name)))));
    expect(archive.names()).toEqual(names);
  });
});

describe('refuses', () => {
  test.each<[string, MadeEntry[], RegExp]>([
    [
      'a local name other than that of the directory',
      [entry('a', { localName: 'b' })],
      /names an entry "a".*says "b"/,
    ],
    ['a longer local name', [entry('a', { localName: 'aa' })], /names an entry "a".*says "aa"/],
    ['two entries of one name', [entry('a'), entry('a')], /two entries named "a"/],
    ['two entries at one place', [entry('a'), entry('b', { offset: 0 })], /overlaps/],
    ['an entry inside another', [entry('a'), entry('b', { offset: 10 })], /overlaps/],
    [
      'an entry that reaches into the next',
      [entry('a', { compressedSize: 6, size: 6 }), entry('b')],
      /overlaps/,
    ],
    ['an entry that reaches into the directory', [entry('a', { compressedSize: 6, size: 6 })], /overlaps/],
    ['an offset behind the directory', [entry('a', { offset: 1000 })], /overlaps/],
    ['sizes that disagree', [entry('a', { size: 6 })], /directory is cut off or damaged.*size mismatch/],
    [
      'encryption',
      [entry('a', { flags: 1, size: 0, content: Buffer.alloc(12), compressedSize: 12 })],
      /encrypted/,
    ],
    ['another compression', [entry('a', { method: 12 })], /compression method 12/],
    ['two compressions', [entry('a', { localMethod: 8 })], /two compression methods/],
    [
      'deflated data of less than its size',
      [entry('a', { deflate: true, size: 6 })],
      /holds 5 bytes, not the stated 6/,
    ],
    [
      'deflated data of more than its size',
      [entry('a', { deflate: true, size: 4 })],
      /damaged or larger than stated/,
    ],
    ['deflated data that is none', [entry('a', { method: 8 })], /damaged or larger than stated/],
    [
      'no local header',
      [entry('a', { offset: 1, content: Buffer.alloc(64), compressedSize: 0, size: 0 })],
      /no local header/,
    ],
  ])('%s', async (_what, entries, message) => {
    await expectError(read(makeZip(entries)), 'WEIGHTS_FORMAT', message);
  });

  test('a bomb, before it inflates', async () => {
    const zeros = Buffer.alloc(2 ** 20);
    const bomb = Array.from({ length: 20 }, (_, i) =>
      entry(`a/${i}`, { content: zeros, deflate: true, size: 2 ** 30 }),
    );
    await expectError(
      read(makeZip(bomb)),
      'WEIGHTS_FORMAT',
      /would inflate to 21474836480: this looks like a zip bomb/,
    );
  });

  test('a directory that claims more entries than there are', async () => {
    const file = Buffer.from(makeZip([entry('a')]));
    file.writeUInt16LE(60000, file.length - 12);
    await expectError(read(file), 'WEIGHTS_FORMAT', /more follow: it is cut off or damaged/);
  });

  test('a file without a directory', async () => {
    await expectError(read(makeZip([entry('a')]).subarray(0, 30)), 'WEIGHTS_FORMAT', /cut off or damaged/);
  });
});
