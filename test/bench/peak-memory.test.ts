import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { peakMemoryBytes } from '../../lib/bench/peak-memory.js';

describe('peakMemoryBytes', () => {
  test('counts memory that was given back', () => {
    const before = peakMemoryBytes();
    const bytes = 3e8;
    // The garbage collector may or may not have it already.
    expect(new Uint8Array(bytes).fill(1).length).toBe(bytes);
    expect(peakMemoryBytes()).toBeGreaterThan(Math.max(before, bytes));
  });

  test.runIf(process.platform === 'linux')('does not begin at the size of the process before it', () => {
    const held = new Uint8Array(3e8).fill(1);
    const script =
      "import('./dist/bench/peak-memory.js').then((module) => console.log(module.peakMemoryBytes()))";
    const child = Number(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' }));
    expect(child).toBeGreaterThan(1e7);
    expect(child).toBeLessThan(held.length);
  });
});
