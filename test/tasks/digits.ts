import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// The shipped model and the pictures it has not seen: `0418-5.png` shows a five.

const root = fileURLToPath(new URL('../../', import.meta.url));

export const DIGITS_MODEL = join(root, 'models', 'digits-resnet20.safetensors');

const folder = join(root, 'models', 'digits-heldout');

/** The paths of all held-out digits. */
export const HELD_OUT = readdirSync(folder)
  .filter((name) => name.endsWith('.png'))
  .sort()
  .map((name) => join(folder, name));

/** The digit that a held-out picture shows. */
export function digitOf(path: string): string {
  const digit = /-(\d)\.png$/.exec(path)?.[1];
  if (digit === undefined) throw new Error(`${path} is not named after its digit`);
  return digit;
}
