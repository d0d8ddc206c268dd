// npm runs this after `npm ci` in a checkout and before packing: it builds TypeScript and the addon. Someone who
// installs the package never gets here, because the tarball carries prebuilt binaries and npm does not run `prepare`
// for it.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { buildNative } from './build-native.mjs';
import { root, run } from './tools.mjs';

/** The TypeScript compiler's command line, or undefined where development dependencies were left out. */
function findTypeScript() {
  try {
    const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
    return join(dirname(manifest), 'bin', 'tsc');
  } catch {
    return undefined;
  }
}

if (existsSync(join(root, '.git'))) {
  const tsc = findTypeScript();
  if (tsc) {
    run(process.execPath, [tsc, '-p', 'tsconfig.build.json']);
    buildNative();
  } else {
    console.error(
      'Nothing was built, because the development dependencies are not installed. To build: npm ci --include=dev',
    );
  }
}
