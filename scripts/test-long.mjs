// `npm run test:long`: what takes too long for every change. The tests of test/long (RESNET_NATIVE_KILLS sets how often
// the kill tests kill), then the native tests under the sanitizers and for 64-bit Arm under qemu. Ends with one line that
// sums what they reported.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './tools.mjs';

const reports = join(root, 'build', 'reports');
const vitest = join('node_modules', 'vitest', 'vitest.mjs');
const COMMANDS = {
  'long-vitest': [vitest, 'run', '--reporter=default', '--reporter=json', '--reporter=junit'],
  'long-native': [join('scripts', 'test-native.mjs'), '--sanitize'],
  'long-aarch64': [join('scripts', 'test-native.mjs'), '--aarch64', '--if-possible'],
};

function countsIn(file) {
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(file, 'utf8'));
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
}

mkdirSync(reports, { recursive: true });
const totals = { passed: 0, failed: 0, skipped: 0 };
let broken = false;
for (const [name, command] of Object.entries(COMMANDS)) {
  const file = join(reports, `${name}.json`);
  const files =
    name === 'long-vitest'
      ? [`--outputFile.json=${file}`, `--outputFile.junit=${join(reports, `${name}.xml`)}`]
      : [`--report=${file}`];
  const env = { RESNET_NATIVE_LONG: '1' };
  const status = run(process.execPath, [...command, ...files], { env, allowFailure: true });
  if (status !== 0) broken = true;
  try {
    const counts = countsIn(file);
    for (const key of Object.keys(totals)) totals[key] += counts[key];
  } catch {
    console.error(`${name} wrote no report`);
    broken = true;
  }
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(broken || totals.failed > 0 ? 1 : 0);
