import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readMetadata, readStateDict } from '../../lib/weights/read.js';
import { described, EXPECTED, expectError, fixture, makeSafetensors, temporaryFolder } from './helpers.js';

const folder = temporaryFolder();

function fileOf(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? Buffer.from(content, 'latin1') : content);
  return path;
}

describe('the content decides, not the name', () => {
  test('a .safetensors named .pth, and the reverse', async () => {
    const renamed = fileOf('a.pth', readFileSync(fixture('python.safetensors')));
    expect(described(await readStateDict(renamed))).toEqual(EXPECTED['python.safetensors']);
    const reverse = fileOf('a.safetensors', readFileSync(fixture('model.pth')));
    expect(described(await readStateDict(reverse))).toEqual(EXPECTED['model.pth']);
  });

  test('bytes in memory, not shared with what was read', async () => {
    const bytes = new Uint8Array(readFileSync(fixture('model.pth')));
    const state = await readStateDict(bytes);
    bytes.fill(0);
    expect(described(state)).toEqual(EXPECTED['model.pth']);
  });

  test('a header whose length begins like a pickle', async () => {
    const json = JSON.stringify({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } });
    const file = makeSafetensors(json.padEnd(0x280), Uint8Array.of(9));
    expect([...file.subarray(0, 2)]).toEqual([0x80, 0x02]);
    expect((await readStateDict(file)).get('a')?.data).toEqual(Uint8Array.of(9));
  });

  test.each<[string, string, RegExp]>([
    ['photo.pth', '\xff\xd8\xff\xe0\x00\x10JFIF', /is a JPEG image/],
    ['picture.pth', '\x89PNG\r\n\x1a\n', /is a PNG image/],
    ['page.pth', '<!DOCTYPE html><html>', /is an HTML page/],
    ['page.safetensors', '\n <html lang="en">', /is an HTML page/],
    ['denied.pth', '<?xml version="1.0"?><Error>', /is an XML document/],
    [
      'pointer.safetensors',
      'version https://git-lfs.github.com/spec/v1\noid',
      /Git LFS pointer: run `git lfs pull`/,
    ],
    ['packed.pth', '\x1f\x8b\x08', /gzip-compressed: unpack/],
    ['array.pth', '\x93NUMPY\x01', /NumPy array/],
    ['keras.pth', '\x89HDF\r\n', /HDF5/],
    ['plain.pth', '\x80\x04\x95', /bare Python pickle/],
    ['error.pth', '{"error": "not found"}', /is a JSON document/],
    ['readme.pth', 'read me\n', /is a text file/],
    ['empty.pth', '', /is empty/],
    ['random.pth', '\x00\x01\x02\x03', /no known kind/],
  ])('%s', async (name, content, message) => {
    const path = fileOf(name, content);
    await expectError(readStateDict(path), 'WEIGHTS_FORMAT', message);
    await expectError(readMetadata(path), 'WEIGHTS_FORMAT', message);
    await expectError(
      readStateDict(path),
      'WEIGHTS_FORMAT',
      new RegExp(`${name}: expected a \\.safetensors file`),
    );
  });
});

describe('files that cannot be read', () => {
  test('absent', async () => {
    await expectError(
      readStateDict(join(folder, 'absent.pth')),
      'FILE',
      /absent\.pth: there is no such file/,
    );
    await expectError(readStateDict('absent.pth'), 'FILE', /a relative path starts at/);
    const below = join(fileOf('file', ''), 'below');
    await expectError(readStateDict(below), 'FILE', /no such file/);
  });

  test('a folder', async () => {
    mkdirSync(join(folder, 'folder.pth'));
    await expectError(readStateDict(join(folder, 'folder.pth')), 'FILE', /folder\.pth is a folder/);
  });

  test.skipIf(process.platform === 'win32')('a pipe, without waiting for it (Windows has none)', async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    await expectError(readStateDict(path), 'FILE', /no regular file/);
  });

  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')(
    'without permission (root has every permission)',
    async () => {
      const path = fileOf('secret.pth', 'x');
      chmodSync(path, 0);
      await expectError(readStateDict(path), 'FILE', /permission denied/);
    },
  );

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a number', 3],
    ['an empty path', ''],
    ['a path with a zero', 'a\0b'],
    ['an ArrayBuffer', new ArrayBuffer(8)],
  ])('arguments: %s', async (_what, file) => {
    await expectError(readStateDict(file as string), 'INVALID_ARGUMENT', /a path or a Uint8Array/);
  });
});
