import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const CHILD = fileURLToPath(new URL('children/leaks.mjs', import.meta.url));

// Far above what allocators and V8 vary by (measured: under 10 MiB), and far below what a leak of a thread, an arena or
// a buffer at each cycle would come to.
const SLACK_MIB = 40;
// 300 results of 8 MiB: 2,400 MiB if none were let go, about 100 measured.
const LARGE_RESULTS_MIB = 600;

describe('memory does not grow', () => {
  const scenarios: [scenario: string, limit: number][] = [
    ['runs', SLACK_MIB],
    ['refused and aborted runs', SLACK_MIB],
    ['compile and close', SLACK_MIB],
    ['sessions that nobody closes', SLACK_MIB],
    ['allocated tensors', SLACK_MIB],
    ['large results', LARGE_RESULTS_MIB],
  ];
  for (const [scenario, limit] of scenarios) {
    it(`with ${scenario}`, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', CHILD, scenario, 'cpu']);
      expect(stdout).toMatch(/^-?\d/);
      expect(Number(stdout)).toBeLessThan(limit);
    });
  }
});
