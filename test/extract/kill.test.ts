import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { checkBuild } from '../cli/run-cli.js';
import { HELD_OUT } from '../tasks/digits.js';
import { temporaryFolder } from './folders.js';
import { killAtRandom } from './kill.js';

const KILLS = 20;
const base = temporaryFolder();

test(`killed ${KILLS} times at random moments, it comes to what an undisturbed run writes`, async () => {
  checkBuild();
  mkdirSync(join(base, 'images'));
  for (const file of HELD_OUT.slice(0, 15)) copyFileSync(file, join(base, 'images', basename(file)));
  const folders = ['images', 'out', 'whole'].map((name) => join(base, name)) as [string, string, string];
  expect(await killAtRandom(...folders, KILLS)).toBeGreaterThan(0);
});
