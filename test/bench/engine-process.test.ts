import { afterEach, describe, expect, test } from 'vitest';
import { EngineProcess } from '../../lib/bench/engine-process.js';

// Processes that are no engines, to see what becomes of their answers.

const processes: EngineProcess[] = [];
afterEach(() => Promise.all(processes.splice(0).map((process) => process.close())));

/** A process that evaluates `body` for each `request` it gets; `say` answers. */
function start(body: string, signal = new AbortController().signal): EngineProcess {
  const script = `
    const say = (answer) => console.log(JSON.stringify(answer));
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const request = JSON.parse(line);
      ${body}
    });`;
  const engine = new EngineProcess({ engine: 'fake', file: process.execPath, args: ['-e', script] }, signal);
  processes.push(engine);
  return engine;
}

describe('EngineProcess', () => {
  test('asks and is answered, in order', async () => {
    const engine = start('say({ ms: [request.seconds] })');
    expect(await engine.ask({ op: 'run', seconds: 1 })).toEqual({ ms: [1] });
    expect(await engine.ask({ op: 'run', seconds: 2 })).toEqual({ ms: [2] });
  });

  test('an error that it answers with keeps its code', async () => {
    const engine = start('say({ error: request.op + " is bad", code: "UNSUPPORTED" })');
    const error = { code: 'UNSUPPORTED', message: 'memory is bad' };
    await expect(engine.ask({ op: 'memory' })).rejects.toThrow(expect.objectContaining(error));
  });

  test('an error without a code, as peers give them, is INTERNAL', async () => {
    const engine = start('say({ error: "no" })');
    await expect(engine.ask({ op: 'memory' })).rejects.toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });

  test('a process that ends is told with its last words', async () => {
    const engine = start('console.error("out of luck"); process.exit(3)');
    const error = { code: 'INTERNAL', message: 'the process of fake ended:\nout of luck' };
    await expect(engine.ask({ op: 'memory' })).rejects.toThrow(expect.objectContaining(error));
    await expect(engine.ask({ op: 'memory' })).rejects.toThrow(/ended/);
  });

  test('a program that is not there', async () => {
    const { signal } = new AbortController();
    const engine = new EngineProcess({ engine: 'fake', file: '/no/such/program', args: [] }, signal);
    await expect(engine.ask({ op: 'memory' })).rejects.toThrow(/the process of fake ended:\n.*ENOENT/);
    await engine.close();
  });

  test('a signal ends it in the middle of a run', async () => {
    const controller = new AbortController();
    const engine = start('', controller.signal);
    const answer = engine.ask({ op: 'run', seconds: 1000 });
    controller.abort();
    await expect(answer).rejects.toThrow(/ended/);
  });

  test('close ends it whatever it does, any number of times', async () => {
    const engine = start('for (;;);');
    engine.ask({ op: 'memory' }).catch(() => {});
    await engine.close();
    await engine.close();
  });
});
