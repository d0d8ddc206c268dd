import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { checkBuild } from '../cli/run-cli.js';
import { digitOf, HELD_OUT } from '../tasks/digits.js';

// The examples as they are, over what the build made.

const root = fileURLToPath(new URL('../../', import.meta.url));
const [DIGIT] = HELD_OUT as [string];

const COMPILED = join(root, 'build', 'examples');

beforeAll(() => {
  checkBuild();
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  // Not every Node that is supported runs TypeScript.
  execFileSync(process.execPath, [tsc, '-p', join(root, 'examples'), '--outDir', COMPILED]);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Answers as soon as the example listens. */
async function classify(
  port: number,
  child: ChildProcess,
  body: string | Buffer = readFileSync(DIGIT),
  type = 'image/png',
): Promise<Response> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the example ended with ${child.exitCode}`);
    try {
      return await fetch(`http://127.0.0.1:${port}/digit`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      });
    } catch {
      await sleep(100);
    }
  }
}

test.each(['embed-in-fastify', 'express'])('examples/%s.ts answers, and ends on SIGTERM', async (name) => {
  const port = await freePort();
  const child = spawn(process.execPath, [join(COMPILED, `${name}.js`)], {
    cwd: root,
    env: { ...process.env, PORT: String(port) },
    stdio: 'ignore',
  });
  try {
    const response = await classify(port, child);
    expect(await response.json()).toEqual({ digit: Number(digitOf(DIGIT)) });
    const refused = await classify(port, child, 'no image');
    expect(refused.status).toBe(400);
    expect(await refused.json()).toEqual({ error: expect.stringContaining('Cannot decode') });
    const odd = await classify(port, child, '{}', 'application/xml');
    expect(odd.status).toBe(415);
    expect(await odd.json()).toEqual({ error: expect.any(String) });
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
});
