import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DirectoryAdapter } from '../../lib/sources/directory.js';
import { HttpAdapter } from '../../lib/sources/http.js';
import { countEntries, type ExtractInputs, inputEntries } from '../../lib/sources/inputs.js';
import { temporaryFolder } from '../extract/folders.js';

const base = temporaryFolder();
const at = (path: string) => join(base, path);

/** Each key with the text of its file, or with the code of its error. */
async function contentsOf(inputs: ExtractInputs): Promise<string[][]> {
  const found: string[][] = [];
  for await (const { key, read } of inputEntries(inputs)) {
    const content = await read().then(
      (bytes) => Buffer.from(bytes).toString(),
      (error: { code: string }) => error.code,
    );
    found.push([key.replace(`${base}/`, ''), content]);
  }
  return found;
}

const keysOf = async (inputs: ExtractInputs) => (await contentsOf(inputs)).map(([key]) => key);

async function writeTar(path: string, members: readonly [name: string, content: string][]): Promise<void> {
  const tar = pack();
  for (const [name, content] of members) tar.entry({ name }, content);
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  writeFileSync(path, Buffer.concat(chunks));
}

beforeAll(() => {
  mkdirSync(at('photos/b/c'), { recursive: true });
  for (const name of [
    'photos/z.jpg',
    'photos/a.PNG',
    'photos/b/x.webp',
    'photos/b/c/1.jpg',
    'photos/b.txt',
  ]) {
    writeFileSync(at(name), name);
  }
  symlinkSync(at('photos'), at('photos/b/circle'));
  symlinkSync(at('photos/z.jpg'), at('photos/b/link.jpg'));
});

describe('paths', () => {
  test('a folder gives its images, all the way down, in the order of names, and follows no circle', async () => {
    const all = ['photos/a.PNG', 'photos/b/c/1.jpg', 'photos/b/link.jpg', 'photos/b/x.webp', 'photos/z.jpg'];
    expect(await keysOf(at('photos'))).toEqual(all);
    expect(await keysOf(`${base}/./photos/`)).toEqual(all);
    expect(await countEntries(at('photos'))).toBe(5);
  });

  test('a file is itself, whatever its name; one that is not there is an error', async () => {
    expect(await contentsOf(at('photos/b.txt'))).toEqual([['photos/b.txt', 'photos/b.txt']]);
    await expect(keysOf(at('absent.jpg'))).rejects.toMatchObject({ code: 'FILE' });
  });

  test.each([
    ['photos/*.jpg', ['photos/z.jpg']],
    ['photos/*/*.{jpg,webp}', ['photos/b/link.jpg', 'photos/b/x.webp']],
    ['photos/**/*.jpg', ['photos/b/c/1.jpg', 'photos/b/link.jpg', 'photos/z.jpg']],
    ['photos/?.[jp]*', ['photos/z.jpg']],
  ])('the glob %s', async (glob, expected) => {
    expect(await keysOf(at(glob))).toEqual(expected);
  });

  test('a glob of nothing is an error', async () => {
    await expect(keysOf(at('photos/*.gif'))).rejects.toThrow(/No file matches .*\*\.gif/);
  });

  test('a list gives its lines, and what is not there becomes an error of that image', async () => {
    const paths = [at('photos/z.jpg'), at('absent.jpg'), at('photos')];
    writeFileSync(at('list.txt'), `${paths[0]}\r\n\n${paths[1]}\n${paths[2]}`);
    expect(await contentsOf(`@${at('list.txt')}`)).toEqual([
      ['photos/z.jpg', 'photos/z.jpg'],
      ['absent.jpg', 'FILE'],
      ['photos', 'FILE'],
    ]);
    writeFileSync(at('endless.txt'), Buffer.alloc(2 ** 21, 'x'));
    await expect(keysOf(`@${at('endless.txt')}`)).rejects.toThrow(/no list of paths/);
  });

  test('a pipe is an error, not a wait', async () => {
    execFileSync('mkfifo', [at('pipe.jpg')]);
    expect(await contentsOf(at('pipe.jpg'))).toEqual([['pipe.jpg', 'FILE']]);
  });

  test.each(['https://example.com/a.jpg', '', '@', 'a\0b'])('%j is refused', async (input) => {
    await expect(keysOf(input)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('tar', () => {
  const members: [string, string][] = [
    ['000.jpg', 'first'],
    ['000.json', '{}'],
    ['../../up.png', 'harmless'],
    [`${'long/'.repeat(60)}name.jpg`, 'second'],
    ['empty.jpg', ''],
  ];
  const expected = members
    .filter(([name]) => !name.endsWith('json'))
    .map(([name, content]) => [`shards/0.tar/${name}`, content]);

  beforeAll(async () => {
    mkdirSync(at('shards'));
    await writeTar(at('shards/0.tar'), members);
  });

  test('gives its images with keys behind its name, and unpacks nothing', async () => {
    expect(await contentsOf(at('shards'))).toEqual(expected);
    expect(await contentsOf(new DirectoryAdapter(base))).toEqual(expect.arrayContaining(expected));
    expect(await countEntries(at('shards'))).toBeUndefined();
  });

  test('gives what lies before the damage, then an error of its own name', async () => {
    const bytes = readFileSync(at('shards/0.tar'));
    mkdirSync(at('damaged'));
    writeFileSync(at('damaged/cut.tar'), bytes);
    truncateSync(at('damaged/cut.tar'), 514);
    writeFileSync(at('damaged/noise.tar'), Buffer.alloc(4096, 'noise'));
    const second = Buffer.from(bytes);
    second.fill(0xff, 1024, 1536);
    writeFileSync(at('damaged/second.tar'), second);
    expect(await contentsOf(at('damaged'))).toEqual([
      ['damaged/cut.tar', 'FILE'],
      ['damaged/noise.tar', 'FILE'],
      ['damaged/second.tar/000.jpg', 'first'],
      ['damaged/second.tar', 'FILE'],
    ]);
    writeFileSync(at('tars.txt'), at('absent.tar'));
    expect(await contentsOf(`@${at('tars.txt')}`)).toEqual([['absent.tar', 'FILE']]);
  });

  test('members that claim to be huge are refused before they are read', async () => {
    const bytes = Buffer.from(readFileSync(at('shards/0.tar')));
    bytes.write('77777777777\0', 124, 'latin1');
    bytes.write('        ', 148, 'latin1');
    const sum = bytes.subarray(0, 512).reduce((a, b) => a + b, 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    writeFileSync(at('huge.tar'), bytes);
    expect(await contentsOf(at('huge.tar'))).toEqual([['huge.tar', 'FILE']]);
  });
});

describe('adapters', () => {
  test('a directory names its images by their paths within it', async () => {
    const found = await keysOf(new DirectoryAdapter(at('photos')));
    expect(found).toEqual(['a.PNG', 'b/c/1.jpg', 'b/link.jpg', 'b/x.webp', 'z.jpg']);
    const here = new DirectoryAdapter(relative(process.cwd(), at('photos')));
    expect(await keysOf(here)).toEqual(found);
  });

  describe('http', () => {
    let failures = 0;
    const server = createServer((request, response) => {
      const [, name] = request.url?.split('/') ?? [];
      if (name === 'flaky.jpg' && failures++ === 0) response.writeHead(503).end();
      else if (name === 'absent.jpg') response.writeHead(404).end();
      else if (name === '0.tar') response.end(readFileSync(at('shards/0.tar')));
      else response.end(`${name} ${request.headers.authorization ?? ''}`);
    });
    let url: string;

    beforeAll(async () => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(() => server.close());

    test('gives URLs, tries again what may pass, and makes the rest errors', async () => {
      const urls = ['a.jpg', 'flaky.jpg', 'absent.jpg'].map((name) => `${url}/${name}`);
      const adapter = new HttpAdapter(urls, { headers: { authorization: 'me' } });
      expect(await contentsOf(adapter)).toEqual([
        [urls[0], 'a.jpg me'],
        [urls[1], 'flaky.jpg me'],
        [urls[2], 'DOWNLOAD'],
      ]);
      expect(failures).toBe(2);
    });

    test('streams tars', async () => {
      const found = await contentsOf(new HttpAdapter([`${url}/0.tar`]));
      expect(found[0]).toEqual([`${url}/0.tar/000.jpg`, 'first']);
      expect(found).toHaveLength(4);
    });

    test('a server that is not there, and what is no URL', async () => {
      const gone = new HttpAdapter(['http://127.0.0.1:1/a.jpg'], { tries: 1 });
      expect((await contentsOf(gone))[0]?.[1]).toBe('DOWNLOAD');
      await expect(contentsOf(new HttpAdapter(['file:///etc/passwd']))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });
  });
});
