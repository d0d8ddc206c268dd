import { readFileSync } from 'node:fs';

/**
 * The most memory that this process has held since it began, in bytes. Linux's `ru_maxrss`, what
 * `process.resourceUsage()` tells, begins at the size of the process that started this one; `VmHWM` does not.
 */
export function peakMemoryBytes(): number {
  const kilobytes = process.platform === 'linux' ? highWaterMark() : undefined;
  return 1024 * (kilobytes ?? process.resourceUsage().maxRSS);
}

function highWaterMark(): number | undefined {
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return found ? Number(found[1]) : undefined;
}
