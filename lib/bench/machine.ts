import { readdirSync, readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { devices } from '../runtime/devices.js';
import type { Machine } from './results.js';

const LINUX_CACHES = '/sys/devices/system/cpu/cpu0/cache';

/** What this benchmark runs on. */
export async function describeMachine(): Promise<Machine> {
  const cpu = (await devices()).find((device) => device.id === 'cpu');
  return {
    cpu: cpu?.name ?? cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    isa: cpu?.isa ?? 'unknown',
    caches: linuxCaches(),
    memoryBytes: totalmem(),
    os: `${type()} ${release()} ${process.arch}`,
  };
}

/** Of the first core; empty on other systems, which do not tell. */
function linuxCaches(): Record<string, number> {
  try {
    const folders = readdirSync(LINUX_CACHES).filter((name) => name.startsWith('index'));
    return Object.fromEntries(folders.sort().flatMap((name) => cacheIn(join(LINUX_CACHES, name))));
  } catch {
    return {};
  }
}

/** One cache as a [name, bytes] pair; none for instructions. */
function cacheIn(folder: string): [string, number][] {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8').trim();
  const kind = read('type');
  if (kind === 'Instruction') return [];
  const size = /^(\d+)([KM])$/.exec(read('size'));
  if (!size) return [];
  const bytes = Number(size[1]) * (size[2] === 'K' ? 2 ** 10 : 2 ** 20);
  return [[`L${read('level')}${kind === 'Data' ? 'd' : ''}`, bytes]];
}
