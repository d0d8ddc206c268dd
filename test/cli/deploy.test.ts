import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { start } from '../server/start.js';
import { checkBuild, runCli } from './run-cli.js';

// No engine builds or applies these files here; what they say of the server is compared with what it is.

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (name: string) => readFileSync(join(root, 'deploy', name), 'utf8');
const MANIFESTS = ['kubernetes.yaml', 'kserve.yaml'];

beforeAll(checkBuild);

/** Options of all lists of arguments, those that are commented out too. */
function optionsIn(text: string): string[] {
  const lists = [...text.matchAll(/(?:args: |ENTRYPOINT )(\[.*\])/g)].map(([, list]) =>
    JSON.parse(list as string),
  );
  return lists.flat().filter((it: string) => it.startsWith('--'));
}

test.each(['Dockerfile', ...MANIFESTS])('%s: the command has every option', async (name) => {
  const { stdout } = await runCli('serve', '--help');
  const options = optionsIn(read(name));
  expect(options).not.toEqual([]);
  for (const option of options) expect(stdout).toMatch(new RegExp(`^ +${option} `, 'm'));
});

describe.each(MANIFESTS)('%s', (name) => {
  test('probes and scrapes what the server answers, at the ports that it takes by default', async () => {
    const { url } = await start();
    const paths = [...read(name).matchAll(/path: (\S+)/g)].map(([, path]) => path as string);
    for (const path of paths) expect((await fetch(url + path)).status).toBe(200);
    const { stdout } = await runCli('serve', '--help');
    const ports = [...read(name).matchAll(/containerPort: (\d+)/g)].map(([, port]) => port);
    for (const port of ports) expect(stdout).toContain(`(default: ${port})`);
  });
});

test('kubernetes.yaml waits for longer than the server drains', () => {
  const [, seconds] = /terminationGracePeriodSeconds: (\d+)/.exec(read('kubernetes.yaml')) ?? [];
  expect(Number(seconds)).toBeGreaterThan(30);
});

test('Dockerfile takes along all that the package ships and the server reads', () => {
  const copied = [...read('Dockerfile').matchAll(/COPY --from=build \/app\/(\S+)/g)].map(
    ([, path]) => path as string,
  );
  expect(copied).toEqual(
    expect.arrayContaining(['package.json', 'node_modules', 'dist', 'build/Release', 'web']),
  );
  for (const path of copied) expect(existsSync(join(root, path)), path).toBe(true);
});
