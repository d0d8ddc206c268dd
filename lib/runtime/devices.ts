import { ResNetError } from '../errors.js';
import { checkOneOf, invalid } from '../is.js';
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

/** The devices to compile for, one but for several GPUs, and why: the reason is empty when they were asked for by name. */
export interface ChosenDevices {
  readonly devices: readonly [Device, ...Device[]];
  readonly reason: string;
}

/** What each backend found on this machine, and why one is missing. */
export async function devices(): Promise<Device[]> {
  const found = await native().devices('');
  return found.map(({ lost: _, ...device }) => device);
}

/**
 * The devices that a `device` option stands for. `auto` is CUDA where it works and the CPU otherwise; any other device
 * is had or is an error. An array names several GPUs.
 * @throws ResNetError `INVALID_ARGUMENT` for what is no device's name, `DEVICE_UNAVAILABLE`, naming what is missing,
 * `DEVICE_LOST`.
 */
export async function chooseDevices(option: unknown): Promise<ChosenDevices> {
  if (Array.isArray(option)) return chooseGpus(option);
  if (typeof option !== 'string' || !/^cuda:\d+$/.test(option)) {
    checkOneOf('device', option, ['auto', 'cpu', 'cuda', 'cuda:0', 'reference']);
  }
  const id = String(option);
  // CUDA is not touched unless it is asked for.
  const found = await native().devices(id === 'cpu' || id === 'reference' ? id : '');
  return id === 'auto' ? chooseAutomatically(found) : { devices: [named(found, id)], reason: '' };
}

async function chooseGpus(ids: readonly unknown[]): Promise<ChosenDevices> {
  const good = ids.every((id): id is string => typeof id === 'string' && /^cuda:\d+$/.test(id));
  if (!good || ids.length === 0 || new Set(ids).size < ids.length) {
    throw invalid('device', 'different GPUs by name, ["cuda:0", "cuda:1"],', ids);
  }
  const found = await native().devices('');
  const [first, ...others] = ids.map((id) => named(found, id));
  return { devices: [first as Device, ...others], reason: '' };
}

function chooseAutomatically(found: readonly NativeDevice[]): ChosenDevices {
  const cuda = found.filter(isCuda);
  const usable = cuda.find((device) => device.available);
  if (usable) return { devices: [usable], reason: 'device "auto" takes CUDA where it is available' };
  const reason = cuda[0]?.reason ?? 'no CUDA device was found';
  return { devices: [named(found, 'cpu')], reason: `device "auto" took the CPU: ${reason}` };
}

function named(found: readonly NativeDevice[], id: string): Device {
  const matches = found.filter((device) => device.id === id || (id === 'cuda' && isCuda(device)));
  const usable = matches.find((device) => device.available);
  if (usable) return usable;
  // CUDA as a whole is missing under the id `cuda`, and its reason is that of every device it could have.
  const missing = matches[0] ?? (isCuda({ id }) ? found.find(({ id }) => id === 'cuda') : undefined);
  const reason = missing?.reason ?? '';
  const there = found.filter((candidate) => candidate.available).map((candidate) => candidate.id);
  throw new ResNetError(
    missing?.lost ? 'DEVICE_LOST' : 'DEVICE_UNAVAILABLE',
    `The device "${id}" is not available${reason && `: ${reason}`}. Available here: ${there.join(', ')}`,
  );
}

function isCuda({ id }: Pick<NativeDevice, 'id'>): boolean {
  return id === 'cuda' || id.startsWith('cuda:');
}
