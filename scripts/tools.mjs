// What the scripts of this folder share.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import process from 'node:process';

export const root = dirname(import.meta.dirname);

/** The first of `programs` that is on the PATH (or is a path that exists); undefined entries are skipped. */
export function firstAvailable(programs) {
  const extensions = process.platform === 'win32' ? ['.exe', '.cmd', ''] : [''];
  const folders = (process.env.PATH ?? '').split(delimiter);
  return programs.find((program) => {
    if (!program) return false;
    const places = isAbsolute(program) ? [program] : folders.map((folder) => join(folder, program));
    return places.some((place) => extensions.some((extension) => existsSync(place + extension)));
  });
}

/** Runs a program with this one's output; exits with its status when it fails, unless `allowFailure`. */
export function run(command, args, { env = {}, allowFailure = false, cwd = root } = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (error) fail(`${command} could not be started: ${error.message}`);
  if (status !== 0 && !allowFailure) process.exit(status ?? 1);
  return status ?? 1;
}

export function fail(message) {
  console.error(message);
  process.exit(1);
}
