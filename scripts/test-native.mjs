// Builds and runs the native tests (GoogleTest, through CTest) in build/native-tests. With --sanitize: once under
// AddressSanitizer and UndefinedBehaviorSanitizer, and once under ThreadSanitizer. JUnit reports lie beside the builds.
//
//   node scripts/test-native.mjs [--sanitize] [--if-possible] [--report=FILE]
//
// --if-possible: a missing CMake or GoogleTest is no failure, only said. --report: the counts, under vitest's keys.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, firstAvailable, root, run } from './tools.mjs';

const SANITIZERS = { asan: 'address,undefined', tsan: 'thread' };
const jobs = String(availableParallelism());
const { values: options } = parseArgs({
  options: {
    sanitize: { type: 'boolean' },
    'if-possible': { type: 'boolean' },
    report: { type: 'string' },
  },
});

/** Ends the script where the machine lacks something. */
function missing(message) {
  if (!options['if-possible']) fail(message);
  console.log(`The native tests were skipped. ${message}`);
  process.exit(0);
}

/** Configures, builds and runs one tree; returns what its report counts. */
function testIn(name, sanitize) {
  const tree = join(root, 'build', name);
  const generator = firstAvailable(['ninja']) ? ['-G', 'Ninja'] : [];
  const definitions = [
    '-DRESNET_NATIVE_TESTS=ON',
    `-DRESNET_NATIVE_SANITIZE=${sanitize}`,
    '-DCMAKE_BUILD_TYPE=Release',
  ];
  configure(['-S', root, '-B', tree, ...generator, ...definitions]);
  run('cmake', ['--build', tree, '--parallel', jobs]);
  const report = join(tree, 'junit.xml');
  const env = { TSAN_OPTIONS: 'halt_on_error=1', UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1' };
  run('ctest', ['--test-dir', tree, '--output-on-failure', '--parallel', jobs, '--output-junit', report], {
    env,
    allowFailure: true,
  });
  return countsOf(readFileSync(report, 'utf8'));
}

/** CMake's own words for a missing GoogleTest do not say what to do. */
function configure(args) {
  const { status, stderr } = spawnSync('cmake', args, {
    stdio: ['ignore', 'inherit', 'pipe'],
    encoding: 'utf8',
  });
  process.stderr.write(stderr);
  if (status === 0) return;
  if (!/GTest/.test(stderr)) process.exit(1);
  missing(
    'GoogleTest is missing (Debian: apt install libgtest-dev), or set GTEST_SOURCE to the folder of its sources',
  );
}

function countsOf(junit) {
  const count = (attribute) =>
    Number(new RegExp(`<testsuite[^>]*\\b${attribute}="(\\d+)"`).exec(junit)?.[1] ?? 0);
  const [failed, skipped] = [count('failures'), count('skipped') + count('disabled')];
  return { passed: count('tests') - failed - skipped, failed, skipped };
}

if (!firstAvailable(['cmake'])) missing('CMake is missing (Debian: apt install cmake)');
const trees = options.sanitize
  ? Object.entries(SANITIZERS).map(([name, sanitize]) => [`native-tests-${name}`, sanitize])
  : [['native-tests', '']];
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const [name, sanitize] of trees) {
  const counts = testIn(name, sanitize);
  for (const key of Object.keys(totals)) totals[key] += counts[key];
}
if (options.report) {
  const { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests } = totals;
  writeFileSync(options.report, JSON.stringify({ numPassedTests, numFailedTests, numPendingTests }));
}
console.log(`native: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 ? 1 : 0);
