import { ResNetError } from '../errors.js';
import { checkOneOf } from '../is.js';
import { type NativeDevice, native } from './native.js';

/** What computes. */
export interface Device {
  /** As `compile` takes it: `cpu`, `cuda:0`, `reference`; `cuda` where CUDA as a whole is missing. */
  readonly id: string;
  /** As its maker calls it. */
  readonly name: string;
  readonly available: boolean;
  /** The instruction set or compute capability in use. */
  readonly isa: string;
  /** Those that `compile` takes. */
  readonly dtypes: readonly string[];
  /** Why it is not available or what is limited; empty otherwise. */
  readonly reason: string;
}

/** A device to compile for, and why it was taken; the reason is empty when it was asked for by name. */
export interface ChosenDevice {
  readonly device: Device;
  readonly reason: string;
}

/** What each backend found on this machine, and why one is missing. */
export async function devices(): Promise<Device[]> {
  return native().devices();
}

/**
 * The device that a `device` option stands for. `auto` is CUDA where it works and the CPU otherwise; any other device
 * is had or is an error.
 * @throws ResNetError `INVALID_ARGUMENT` for what is no device's name, `DEVICE_UNAVAILABLE`, naming what is missing.
 */
export async function chooseDevice(option: unknown): Promise<ChosenDevice> {
  if (typeof option !== 'string' || !/^cuda:\d+$/.test(option)) {
    checkOneOf('device', option, ['auto', 'cpu', 'cuda', 'cuda:0', 'reference']);
  }
  const found = await native().devices();
  return option === 'auto'
    ? chooseAutomatically(found)
    : { device: named(found, String(option)), reason: '' };
}

function chooseAutomatically(found: readonly NativeDevice[]): ChosenDevice {
  const cuda = found.filter(isCuda);
  const usable = cuda.find((device) => device.available);
  if (usable) return { device: usable, reason: 'device "auto" takes CUDA where it is available' };
  const reason = cuda[0]?.reason ?? 'no CUDA device was found';
  return { device: named(found, 'cpu'), reason: `device "auto" took the CPU: ${reason}` };
}

function named(found: readonly NativeDevice[], id: string): Device {
  const matches = found.filter((device) => device.id === id || (id === 'cuda' && isCuda(device)));
  const usable = matches.find((device) => device.available);
  if (usable) return usable;
  // CUDA as a whole is missing under the id `cuda`, and its reason is that of every device it could have.
  const missing = matches[0] ?? (isCuda({ id }) ? found.find(isCuda) : undefined);
  const reason = missing?.reason ?? '';
  const there = found.filter((candidate) => candidate.available).map((candidate) => candidate.id);
  throw new ResNetError(
    'DEVICE_UNAVAILABLE',
    `The device "${id}" is not available${reason && `: ${reason}`}. Available here: ${there.join(', ')}`,
  );
}

function isCuda({ id }: Pick<NativeDevice, 'id'>): boolean {
  return id === 'cuda' || id.startsWith('cuda:');
}
