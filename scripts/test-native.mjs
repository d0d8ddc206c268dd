// Builds and runs the native tests: GoogleTest, through CTest, in build/native-tests.
//
//   --sanitize      once under AddressSanitizer and UndefinedBehaviorSanitizer, and once under ThreadSanitizer
//   --aarch64       cross-compiled for 64-bit Arm and run under qemu (Debian: g++-aarch64-linux-gnu, qemu-user,
//                   googletest), the kernels' as several CPUs
//   --report FILE   writes the counts, under the names that vitest's JSON report uses
//   --if-possible   succeeds, saying why, where the tests cannot be built

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { missingBuildTools } from './build-native.mjs';
import { fail, firstAvailable, root, run } from './tools.mjs';

const PLAIN = { 'native-tests': [] };
const SANITIZED = {
  'native-tests-asan': ['-DRESNET_NATIVE_SANITIZE=address,undefined'],
  'native-tests-tsan': ['-DRESNET_NATIVE_SANITIZE=thread'],
};
const AARCH64 = {
  'native-tests-aarch64': [`-DCMAKE_TOOLCHAIN_FILE=${join(root, 'scripts', 'cmake', 'aarch64-linux.cmake')}`],
};
// All extensions; dot products, but no instructions for matrices or bfloat16; neither.
const AARCH64_CPUS = ['max', 'neoverse-n1', 'cortex-a72'];
// The tests of kernels that differ between them.
const CPU_TESTS = 'Int8Network|Bfloat16StepTest|CpuInfo|Dispatch|Peak';
const AARCH64_TOOLS = [
  ['aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu'],
  ['qemu-aarch64', 'qemu-user'],
];
const SUPPRESSIONS = join(root, 'test', 'native', 'tsan.supp');
const SANITIZER_OPTIONS = {
  // Tests ask for memory that cannot be had and expect an error.
  ASAN_OPTIONS: 'allocator_may_return_null=1',
  TSAN_OPTIONS: `halt_on_error=1:allocator_may_return_null=1:suppressions=${SUPPRESSIONS}`,
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
};
const NO_GOOGLETEST =
  'GoogleTest is missing (Debian: apt install libgtest-dev), or set GTEST_SOURCE to the folder of its sources';

const { values } = parseArgs({
  options: {
    sanitize: { type: 'boolean', default: false },
    aarch64: { type: 'boolean', default: false },
    report: { type: 'string' },
    'if-possible': { type: 'boolean', default: false },
  },
});
const jobs = String(availableParallelism());

/** Configures, builds and runs one tree; returns what each of its reports counts. */
function testIn(name, definitions) {
  const tree = join(root, 'build', name);
  configure(tree, definitions);
  run('cmake', ['--build', tree, '--parallel', jobs]);
  if (!(name in AARCH64)) return [ctest(tree, [], SANITIZER_OPTIONS)];
  return AARCH64_CPUS.map((cpu, i) => ctest(tree, i === 0 ? [] : ['-R', CPU_TESTS], { QEMU_CPU: cpu }));
}

function ctest(tree, selection, env) {
  const junit = join(tree, 'junit.xml');
  const options = ['--output-on-failure', '--parallel', jobs, '--output-junit', junit, ...selection];
  run('ctest', ['--test-dir', tree, ...options], { env, allowFailure: true });
  return countsOf(readFileSync(junit, 'utf8'));
}

/** CMake's own words for a missing GoogleTest do not say what to do. */
function configure(tree, definitions) {
  const generator = firstAvailable(['ninja']) ? ['-G', 'Ninja'] : [];
  const options = ['-DRESNET_NATIVE_TESTS=ON', '-DCMAKE_BUILD_TYPE=Release', ...definitions];
  const { status, stderr } = spawnSync('cmake', ['-S', root, '-B', tree, ...generator, ...options], {
    stdio: ['ignore', 'inherit', 'pipe'],
    encoding: 'utf8',
  });
  process.stderr.write(stderr);
  if (status !== 0 && /GTest/.test(stderr)) cannotTest(NO_GOOGLETEST);
  if (status !== 0) process.exit(1);
}

/** Writes the counts where they were asked for. */
function report({ passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests }) {
  if (!values.report) return;
  writeFileSync(values.report, JSON.stringify({ numPassedTests, numFailedTests, numPendingTests }));
}

function cannotTest(reason) {
  if (!values['if-possible']) fail(reason);
  console.error(`The native tests are skipped. ${reason}`);
  report({ passed: 0, failed: 0, skipped: 1 });
  process.exit(0);
}

function countsOf(junit) {
  const count = (attribute) =>
    Number(new RegExp(`<testsuite[^>]*\\b${attribute}="(\\d+)"`).exec(junit)?.[1] ?? 0);
  const [failed, skipped] = [count('failures'), count('skipped') + count('disabled')];
  return { passed: count('tests') - failed - skipped, failed, skipped };
}

const missing = missingBuildTools();
for (const [tool, debian] of values.aarch64 ? AARCH64_TOOLS : []) {
  if (!firstAvailable([tool])) missing.push(`${tool} (Debian: apt install ${debian})`);
}
if (missing.length > 0) cannotTest(`Missing:\n  ${missing.join('\n  ')}`);

const trees = {
  ...(values.sanitize ? SANITIZED : {}),
  ...(values.aarch64 ? AARCH64 : {}),
};
const totals = { passed: 0, failed: 0, skipped: 0 };
for (const [name, definitions] of Object.entries(Object.keys(trees).length > 0 ? trees : PLAIN)) {
  for (const counts of testIn(name, definitions)) {
    for (const key of Object.keys(totals)) totals[key] += counts[key];
  }
}
report(totals);
console.log(`native: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);
