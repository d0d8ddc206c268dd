// The one door to the native build: CMake, driven by cmake-js, in a tree of its own; then resnet_native.node is put where
// node-gyp-build looks, and beside it, where CUDA's toolchain was found, the CUDA backend's library. binding.gyp and
// prepare.mjs come through here too.
//
//   node scripts/build-native.mjs [--to build/Release]

import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, firstAvailable, root, run } from './tools.mjs';

const TREE = join(root, 'build', 'cmake');
const ADDON = 'resnet_native.node';
/** Apart from the addon, so that nothing about CUDA can keep the addon from loading; and its program for trials. */
export const CUDA_FILES = ['resnet_native_cuda.so', 'resnet_native_cuda_trial'];

/** What CMake needs and this machine lacks, one line each. */
export function missingBuildTools() {
  const missing = [];
  if (!firstAvailable(['cmake'])) missing.push('CMake 3.20 or newer (Debian: apt install cmake)');
  if (!firstAvailable([process.env.CXX, 'g++', 'clang++'])) {
    missing.push('a C++20 compiler (Debian: apt install g++)');
  }
  if (!firstAvailable(['ninja', 'make'])) missing.push('Ninja or Make (Debian: apt install ninja-build)');
  return missing;
}

/** Builds the addon into the folder `to`. Exits with a message when it cannot. */
export function buildNative(to = join(root, 'build', 'Release')) {
  const missing = missingBuildTools();
  if (!findCMakeJs()) missing.push('cmake-js and the Node-API headers: npm install --include=dev');
  if (missing.length > 0) fail(`The native addon cannot be built here. Missing:\n  ${missing.join('\n  ')}`);
  cmakeJs('configure');
  cmakeJs('build', '--parallel', String(availableParallelism()));
  mkdirSync(to, { recursive: true });
  for (const file of [ADDON, ...CUDA_FILES]) {
    if (existsSync(join(TREE, 'Release', file))) install(join(TREE, 'Release', file), to, file);
  }
}

/** Renamed into place, because a running process may have the old file mapped. */
function install(built, folder, name) {
  const unfinished = join(folder, `${name}.${process.pid}`);
  copyFileSync(built, unfinished);
  renameSync(unfinished, join(folder, name));
}

function findCMakeJs() {
  const path = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  if (existsSync(path)) return path;
  try {
    return createRequire(join(root, 'package.json')).resolve('cmake-js/bin/cmake-js');
  } catch {
    return undefined;
  }
}

function cmakeJs(command, ...args) {
  const options = ['--log-level', 'warn', '--directory', root, '--out', TREE];
  run(process.execPath, [findCMakeJs(), command, ...options, ...args]);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { to: { type: 'string' } } });
  buildNative(values.to && resolve(values.to));
}
