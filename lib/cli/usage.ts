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
