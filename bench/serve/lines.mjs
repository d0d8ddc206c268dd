import { createInterface } from 'node:readline';

/**
 * The far end of EngineProcess: answers each line of standard input, a request in JSON, with one of its own. Ends the
 * process when there will be no more, which is also when whoever asks is gone.
 */
export async function answerLines(operations) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { op, ...request } = JSON.parse(line);
    const said = await Promise.resolve(operations[op](request)).catch(({ message }) => ({ error: message }));
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
  process.exit();
}
