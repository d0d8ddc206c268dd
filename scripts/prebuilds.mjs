// Fills prebuilds/<platform>-<arch>/ with the stripped addon, as the npm tarball ships it.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { root, run } from './tools.mjs';

/** The folder whose include/node holds the headers of the running Node, so that node-gyp fetches none. */
function headersOfThisNode() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'node_version.h')) ? prefix : undefined;
}

const prebuildify = join(
  dirname(createRequire(import.meta.url).resolve('prebuildify/package.json')),
  'bin.js',
);
const nodedir = headersOfThisNode();
run(process.execPath, [prebuildify, '--napi', '--strip', '-t', process.versions.node], {
  cwd: root,
  env: nodedir ? { npm_config_nodedir: nodedir } : {},
});
