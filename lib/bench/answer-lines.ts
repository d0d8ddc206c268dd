import { createInterface } from 'node:readline';
import { ResNetError } from '../errors.js';
import type { ErrorAnswer } from './protocol.js';

/**
 * The other end of EngineProcess: answers each line of standard input, a request in JSON, with one of its own. Ends the
 * process, whatever it is doing, when whoever asks is gone: it may have been killed.
 */
export async function answerLines<Request>(answer: (request: Request) => Promise<object>): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  lines.once('close', () => process.exit());
  for await (const line of lines) {
    const said = await answer(JSON.parse(line) as Request).catch(errorAnswer);
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
}

function errorAnswer(error: Error): ErrorAnswer {
  return { error: error.message, ...(error instanceof ResNetError && { code: error.code }) };
}
