import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { ResNetError } from '../errors.js';
import { checkInteger } from '../is.js';

/** A command line that cannot be meant. As everywhere, code `INVALID_ARGUMENT`; here that is exit code 2. */
export function wrongUsage(message: string): ResNetError {
  return new ResNetError('INVALID_ARGUMENT', message);
}

/** A parser of option values that are integers of at least `min`, in decimal digits. */
export function integer(name: string, min: number): (value: string) => number {
  return (value) => {
    try {
      return checkInteger(name, /^\d+$/.test(value) ? Number(value) : value, min);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}

/**
 * Whether a file can be written, before minutes of work, not after them.
 * @throws ResNetError `FILE`.
 */
export async function checkWritable(file: string): Promise<void> {
  await access(dirname(resolve(file)), constants.W_OK).catch((cause: Error) => {
    throw new ResNetError('FILE', `${file} cannot be written: ${cause.message}`, { cause });
  });
}
