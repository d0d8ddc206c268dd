import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { simulatedCuda, WHY_NO_SIMULATION } from './simulated-cuda.js';

const CHILD = fileURLToPath(new URL('children/lifecycle.mjs', import.meta.url));
const TIMEOUT_MS = 120_000;

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(scenario: string, device: string): Promise<Ending> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [CHILD, scenario, device],
      { timeout: TIMEOUT_MS, env: device === 'cuda' ? simulatedCuda() : process.env },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }),
    );
  });
}

const clean = { signal: null, stderr: '' };

for (const device of ['cpu', 'reference', 'cuda']) {
  const whyNot = device === 'cuda' ? WHY_NO_SIMULATION : '';
  describe.skipIf(whyNot !== '')(`a process with sessions on "${device}"${whyNot}`, () => {
    const endings: [scenario: string, code: number, stdout: string][] = [
      ['an idle session', 0, 'open\n'],
      ['a run under way', 0, device === 'cpu' ? 'done 32 10\n' : 'done 1 10\n'],
      ['process.exit', 7, ''],
      ['process.exit during compile', 7, ''],
      ['process.exit with busy workers', 7, ''],
      ['workers terminated', 0, 'terminated\n'],
      ['workers that exit', 0, '5\n'.repeat(12)],
      ['attached workers terminated', 0, 'closed\n'],
      ['a session shared by threads', 0, 'true true SESSION_CLOSED\nSESSION_CLOSED\n'],
    ];
    for (const [scenario, code, stdout] of endings) {
      it(`ends cleanly: ${scenario}`, async () => {
        expect(await run(scenario, device)).toEqual({ ...clean, code, stdout });
      });
    }

    it('ends as Node ends it: an uncaught error', async () => {
      const { code, signal, stderr } = await run('an uncaught error', device);
      expect({ code, signal }).toEqual({ code: 1, signal: null });
      expect(stderr).toContain('Error: uncaught');
    });
  });
}
