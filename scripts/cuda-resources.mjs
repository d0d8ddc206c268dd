// What every CUDA kernel takes: reads what scripts/keep-ptxas-report.sh kept of a build and prints a line for each
// kernel: registers, shared memory and spills, the worst over the architectures. Fails when a kernel spills that is not
// listed in SPILLS, or when nothing was built.
//
//   node scripts/cuda-resources.mjs [build/native-tests]

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fail, root } from './tools.mjs';

/** Kernels that may spill, as the start of their name here, and why. */
const SPILLS = {};

const tree = process.argv[2] ?? join(root, 'build', 'native-tests');
const reports = readdirSync(tree, { recursive: true }).filter((file) => file.endsWith('.ptxas'));
if (reports.length === 0) fail(`No kernels were built in ${tree}`);

/** One for each kernel and architecture. */
function entriesOf(report) {
  const entries = [];
  for (const line of report.split('\n')) {
    const [, name, architecture] = /Compiling entry function '(\S+)' for '(\w+)'/.exec(line) ?? [];
    if (name) entries.push({ name, architecture, registers: 0, shared: 0, stack: 0, spilled: 0 });
    const entry = entries.at(-1);
    if (!entry) continue;
    const number = (pattern) => Number(pattern.exec(line)?.[1] ?? 0);
    entry.registers ||= number(/Used (\d+) registers/);
    entry.shared ||= number(/(\d+) bytes smem/);
    entry.stack ||= number(/(\d+) bytes stack frame/);
    entry.spilled ||= number(/(\d+) bytes spill stores/) + number(/(\d+) bytes spill loads/);
  }
  return entries;
}

/** `RunThreads<Epilogue<Half, float>>` from the linker's name for it. */
function readable(names) {
  const { stdout } = spawnSync('c++filt', { input: names.join('\n'), encoding: 'utf8' });
  const lines = (stdout ?? names.join('\n')).split('\n');
  return lines.map((line) =>
    line
      .replaceAll('resnet_native::cuda::', '')
      .replace(/^void /, '')
      .replace(/\([^()]*\)$/, '')
      .replaceAll(/\((?:int|unsigned int|bool)\)/g, ''),
  );
}

const entries = reports.flatMap((file) => entriesOf(readFileSync(join(tree, file), 'utf8')));
const mangled = [...new Set(entries.map(({ name }) => name))];
const names = new Map(readable(mangled).map((name, i) => [mangled[i], name]));
const unlisted = [];
console.log('registers  shared  stack  spilled  architectures  kernel');
for (const [id, name] of [...names].sort(([, a], [, b]) => (a < b ? -1 : 1))) {
  const all = entries.filter((entry) => entry.name === id);
  const worst = (key) => Math.max(...all.map((entry) => entry[key]));
  const columns = [worst('registers'), worst('shared'), worst('stack'), worst('spilled'), all.length];
  console.log(
    columns.map((column, i) => String(column).padStart([9, 6, 5, 7, 13][i])).join('  '),
    ` ${name}`,
  );
  const listed = Object.keys(SPILLS).some((start) => name.startsWith(start));
  if (worst('spilled') > 0 && !listed) {
    const where = all.filter((entry) => entry.spilled > 0).map((entry) => entry.architecture);
    unlisted.push(`${name} (${where.join(', ')})`);
  }
}
if (unlisted.length > 0)
  fail(`Kernels that spill registers, and are not listed:\n  ${unlisted.join('\n  ')}`);
