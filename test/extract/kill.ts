import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { startCli } from '../cli/run-cli.js';
import { DIGITS_MODEL } from '../tasks/digits.js';
import { contents, readManifest } from './folders.js';

/**
 * Extracts `images` into `out` again and again, each run killed at a random moment, until so many were; whenever one
 * comes to its end first, the folder is compared with `whole`, which an undisturbed run wrote, and a new one begun.
 * @returns how many folders were completed.
 */
export async function killAtRandom(
  images: string,
  out: string,
  whole: string,
  kills: number,
): Promise<number> {
  const [start, usual] = [performance.now(), await finish(images, join(whole))];
  const duration = performance.now() - start;
  expect(usual).toBe(0);
  const expected = contents(whole);
  let [killed, completed] = [0, 0];
  while (killed < kills) {
    if (await killedAfter(images, out, duration * (0.3 + 0.7 * Math.random()))) {
      killed++;
      checkFinished(out);
    } else {
      expect(contents(out)).toEqual(expected);
      rmSync(out, { recursive: true });
      completed++;
    }
  }
  expect(await finish(images, out)).toBe(0);
  expect(contents(out)).toEqual(expected);
  return completed + 1;
}

function start(images: string, out: string) {
  const options = [
    '--weights',
    DIGITS_MODEL,
    '--shard-size',
    '3',
    '--batch',
    '1',
    '--threads',
    '1',
    '--resume',
  ];
  return startCli(['extract', images, '--out', out, ...options]);
}

async function finish(images: string, out: string): Promise<number | null> {
  const { code, stderr } = await start(images, out).finished;
  expect(stderr).toBe('');
  return code;
}

/** Whether SIGKILL ended the run, or it ended before. */
async function killedAfter(images: string, out: string, ms: number): Promise<boolean> {
  const { child, finished } = start(images, out);
  const timer = sleep(ms).then(() => child.kill('SIGKILL'));
  const [code, signal] = await once(child, 'exit');
  const { stderr } = await finished;
  await timer;
  expect(stderr).toBe('');
  if (signal !== 'SIGKILL') expect(code).toBe(0);
  return signal === 'SIGKILL';
}

/** What the manifest names is there, as long as it says. */
function checkFinished(out: string): void {
  if (!existsSync(join(out, 'manifest.json'))) return;
  for (const { files } of readManifest(out).parts) {
    for (const [name, size] of Object.entries(files)) expect(statSync(join(out, name)).size).toBe(size);
  }
  expect(readFileSync(join(out, 'manifest.json')).length).toBeGreaterThan(0);
}
