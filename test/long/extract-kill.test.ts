import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { checkBuild } from '../cli/run-cli.js';
import { temporaryFolder } from '../extract/folders.js';
import { killAtRandom } from '../extract/kill.js';
import { HELD_OUT } from '../tasks/digits.js';

const KILLS = Number(process.env.RESNET_NATIVE_KILLS ?? 200);
const base = temporaryFolder();

test(`killed ${KILLS} times at random moments, it comes to what an undisturbed run writes`, async () => {
  checkBuild();
  mkdirSync(join(base, 'images'));
  for (const file of HELD_OUT.slice(0, 60)) copyFileSync(file, join(base, 'images', basename(file)));
  const folders = ['images', 'out', 'whole'].map((name) => join(base, name)) as [string, string, string];
  const completed = await killAtRandom(...folders, KILLS);
  console.log(`${KILLS} kills, ${completed} folders completed, each equal to an undisturbed run's`);
  expect(completed).toBeGreaterThan(0);
}, 3_600_000);
