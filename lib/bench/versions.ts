import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Of this package. */
export function ownVersion(): string {
  return (require('../../package.json') as { version: string }).version;
}

/** Of the package that the module at `path` is of: the nearest package.json above it that has a version. */
export function versionOf(path: string): string {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const { version } = require(join(folder, 'package.json')) as { version?: string };
      if (version !== undefined) return version;
    } catch {
      // No package.json in this folder.
    }
  }
  return 'unknown';
}
