import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { DIGITS_MODEL } from '../tasks/digits.js';
import { contents, readManifest } from './folders.js';

const CHILD = fileURLToPath(new URL('children/extract.mjs', import.meta.url));

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
  const start = performance.now();
  expect(await killedAfter(images, whole, undefined)).toBe(false);
  const expected = contents(whole);
  // How long a run takes changes with what else the machine does: the kills follow it.
  let span = performance.now() - start;
  let [killed, completed] = [0, 0];
  while (killed < kills) {
    if (await killedAfter(images, out, span * (0.4 + 0.6 * Math.random()))) {
      killed++;
      span *= 1.1;
      checkFinished(out);
    } else {
      completed++;
      span *= 0.8;
      expect(differing(contents(out), expected)).toEqual([]);
      rmSync(out, { recursive: true });
    }
  }
  expect(await killedAfter(images, out, undefined)).toBe(false);
  expect(differing(contents(out), expected)).toEqual([]);
  return completed + 1;
}

/** Whether SIGKILL ended the run, or it ended before. */
async function killedAfter(images: string, out: string, ms: number | undefined): Promise<boolean> {
  const child = spawn(process.execPath, [CHILD, DIGITS_MODEL, images, out], { stdio: 'inherit' });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms ?? 2 ** 30);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (signal !== 'SIGKILL') expect(code).toBe(0);
  return signal === 'SIGKILL';
}

/** The names of files that only one folder has, or that differ. */
function differing(one: Record<string, string>, other: Record<string, string>): string[] {
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].filter(
    (name) => one[name] !== other[name],
  );
}

/** What the manifest names is there, as long as it says. */
function checkFinished(out: string): void {
  if (!existsSync(join(out, 'manifest.json'))) return;
  for (const { files } of readManifest(out).parts) {
    for (const [name, size] of Object.entries(files)) expect(statSync(join(out, name)).size).toBe(size);
  }
  expect(readFileSync(join(out, 'manifest.json')).length).toBeGreaterThan(0);
}
