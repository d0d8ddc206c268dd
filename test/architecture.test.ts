import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** What each folder of lib may use, from the table in docs/architecture.md. */
const RULES: ReadonlyMap<string, readonly string[]> = new Map(
  readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `lib/'))
    .map((line) => {
      const [, folder = '', , mayUse = ''] = line.split('|');
      const names =
        mayUse.trim() === 'everything' ? ['lib'] : [...mayUse.matchAll(/`([^`]+)`/g)].map(([, n]) => n);
      return [folder.replaceAll('`', '').trim(), names as string[]];
    }),
);

const FILES = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `lib/${name.replaceAll('\\', '/')}`);

/** The files of lib that a file imports, for types too. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [
    ...text.matchAll(/^(?:import|export|\}) ?.*?from '(\.[^']+)\.js';|import\('(\.[^']+)\.js'\)/gm),
  ].map(
    ([, fixed, dynamic]) =>
      `${relative(ROOT, join(ROOT, dirname(file), (fixed ?? dynamic) as string)).replaceAll('\\', '/')}.ts`,
  );
}

/** `lib/nn` of `lib/nn/conv.ts`, `lib/*.ts` of `lib/tensor.ts`. */
function folderOf(file: string): string {
  const [, folder, ...rest] = file.split('/');
  return rest.length > 0 ? `lib/${folder}` : 'lib/*.ts';
}

test('the table has a row for each folder, and no other', () => {
  expect([...RULES.keys()].sort()).toEqual([...new Set(FILES.map(folderOf))].sort());
});

test('imports are found: a count that a pattern that stopped matching would not reach', () => {
  expect(FILES.flatMap(importsOf).length).toBeGreaterThan(500);
  expect(FILES.flatMap(importsOf).filter((file) => !FILES.includes(file))).toEqual([]);
});

describe('what folders use is in the table', () => {
  test.each([...RULES])('%s', (folder, allowed) => {
    const wrong = FILES.filter((file) => folderOf(file) === folder && file !== 'lib/index.ts').flatMap(
      (file) =>
        importsOf(file)
          .filter((used) => folderOf(used) !== folder && folderOf(used) !== 'lib/*.ts')
          .filter((used) => !allowed.some((name) => used === name || used.startsWith(`${name}/`)))
          .map((used) => `${file} uses ${used}`),
    );
    expect(wrong).toEqual([]);
  });
});
