import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The command line as users run it: processes of what the build made.

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Tests of an old build would say nothing about the sources. */
export function checkBuild(): void {
  const built = join(root, 'dist', 'cli', 'main.js');
  const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' });
  const newest = Math.max(...sources.map((name) => statSync(join(root, 'lib', name)).mtimeMs));
  if (!existsSync(built) || statSync(built).mtimeMs < newest) {
    throw new Error('dist/ is missing or older than lib/: run npm run build:ts before these tests');
  }
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly finished: Promise<Finished>;
}

/** Starts `dist/cli/main.js`, or another script there. */
export function startCli(args: readonly string[], script = 'main.js'): Running {
  const child = spawn(process.execPath, [join(root, 'dist', 'cli', script), ...args], { cwd: root });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const finished = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
  return { child, finished };
}

export function runCli(...args: string[]): Promise<Finished> {
  return startCli(args).finished;
}
