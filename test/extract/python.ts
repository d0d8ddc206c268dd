import { execFileSync } from 'node:child_process';

// The interpreter that tests of Python's side run, which nothing but RESNET_NATIVE_PYTHON names.

export const python = process.env.RESNET_NATIVE_PYTHON;

/** Why tests that need Python packages cannot run; undefined where they can. */
export function missingPython(packages: string): string | undefined {
  if (!python) return `RESNET_NATIVE_PYTHON names no interpreter with ${packages}`;
  try {
    execFileSync(python, ['-c', `import ${packages}`], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `${python} lacks ${packages}: ${(error as Error).message.trim().split('\n').at(-1)}`;
  }
}
