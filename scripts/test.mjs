// `npm test`: every test of the fast tier. The TypeScript tests run always; the native ones need GoogleTest and are
// skipped, saying so, where it is missing (--require-native, as CI does, fails instead). Ends with one line that sums
// what the runners themselves reported.

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './tools.mjs';

const reports = join(root, 'build', 'reports');
const RUNNERS = {
  // First, because it builds the simulated GPUs that tests of the whole package use.
  native: { command: [join('scripts', 'test-native.mjs')], report: '--report=' },
  vitest: {
    command: [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--reporter=default', '--reporter=json'],
    report: '--outputFile.json=',
  },
};

/** What a runner's report counts; `undefined` when it wrote none. Both vitest and test-native write these keys. */
function countsIn(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
  return { passed: report.numPassedTests, failed: report.numFailedTests, skipped: report.numPendingTests };
}

rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });
const totals = { passed: 0, failed: 0, skipped: 0 };
let broken = false;
for (const [name, { command, report }] of Object.entries(RUNNERS)) {
  const file = join(reports, `${name}.json`);
  const optional = name === 'native' && !process.argv.includes('--require-native') ? ['--if-possible'] : [];
  const status = run(process.execPath, [...command, `${report}${file}`, ...optional], { allowFailure: true });
  const counts = countsIn(file);
  if (status !== 0 || (!counts && optional.length === 0)) broken = true;
  if (counts && counts.passed + counts.failed + counts.skipped === 0) {
    console.error(`${name} ran no test`);
    broken = true;
  }
  for (const key of Object.keys(totals)) totals[key] += counts?.[key] ?? 0;
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(broken || totals.failed > 0 ? 1 : 0);
