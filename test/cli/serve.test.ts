import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { DIGITS_MODEL, digitOf, HELD_OUT } from '../tasks/digits.js';
import { checkBuild, type Running, runCli, startCli } from './run-cli.js';

const [FIRST] = HELD_OUT as [string];

beforeAll(checkBuild);

/** Waits for the address that a server prints. */
async function addressOf({ child, finished }: Running): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (text: string) => {
      output += text;
      const address = /Listening on (\S+)/.exec(output)?.[1];
      if (address) resolve(address);
    });
    void finished.then(({ stderr }) => reject(new Error(stderr)));
  });
}

const classify = (address: string, headers: Record<string, string> = {}) =>
  fetch(`${address}/v1/classify?top=1`, { method: 'POST', body: readFileSync(FIRST), headers });

describe('serve', () => {
  test('serves the shipped model on loopback, says where, and ends well on SIGTERM', async () => {
    const running = startCli(['serve', '--no-grpc', '--port', '0', '--threads', '1', '--log']);
    const address = await addressOf(running);
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const response = await classify(address);
    expect(await response.json()).toMatchObject({
      model: 'digits',
      images: [{ results: [{ label: digitOf(FIRST) }] }],
    });
    running.child.kill('SIGTERM');
    const { code, stdout, stderr } = await running.finished;
    expect(code).toBe(0);
    expect(stdout).toContain('Serving digits (');
    const logged = stderr.split('\n').filter((line) => line.startsWith('{'));
    expect(logged.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ reqId: response.headers.get('x-request-id') }),
    );
  });

  test('a model by NAME=FILE and one by NAME=ARCH:WEIGHTS; a second SIGTERM ends at once', async () => {
    const wrong = await runCli('serve', '--no-grpc', '--port', '0', '--model', `x=resnet18:${DIGITS_MODEL}`);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/conv1|fc/);

    const running = startCli(['serve', '--no-grpc', '--port', '0', '--model', `mine=${DIGITS_MODEL}`]);
    const address = await addressOf(running);
    expect((await fetch(`${address}/v2/models/mine/ready`)).status).toBe(200);
    // A request that never ends keeps the server draining.
    const open = fetch(`${address}/v1/classify`, {
      method: 'POST',
      body: new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
      duplex: 'half',
    } as RequestInit);
    open.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    running.child.kill('SIGTERM');
    await once(running.child.stderr, 'data');
    running.child.kill('SIGTERM');
    expect((await running.finished).code).toBe(143);
  });

  test('Ctrl-C ends it with 130, and a second one at once', async () => {
    const running = startCli(['serve', '--no-grpc', '--port', '0']);
    await addressOf(running);
    running.child.kill('SIGINT');
    expect((await running.finished).code).toBe(130);

    const hurried = startCli(['serve', '--no-grpc', '--port', '0']);
    const open = connect(Number(new URL(await addressOf(hurried)).port), '127.0.0.1');
    open.on('error', () => undefined);
    open.write('POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    hurried.child.kill('SIGINT');
    await once(hurried.child.stderr, 'data');
    const started = performance.now();
    hurried.child.kill('SIGINT');
    expect((await hurried.finished).code).toBe(130);
    expect(performance.now() - started).toBeLessThan(900);
  });

  test('gRPC has a port of its own, and a port that is taken ends it', async () => {
    const running = startCli(['serve', '--grpc-port', '0', '--port', '0', '--device', 'digits=reference']);
    const address = await addressOf(running);
    const { port } = new URL(address);
    const second = await runCli('serve', '--no-grpc', '--port', port);
    expect(second).toMatchObject({ code: 2, stderr: expect.stringContaining('EADDRINUSE') });
    running.child.kill('SIGTERM');
    const { stdout } = await running.finished;
    expect(stdout).toMatch(/^Serving digits \(reference, float32\)$/m);
    expect(stdout).toMatch(/^gRPC on 127\.0\.0\.1:\d+$/m);
  });

  test.each([
    [['--model', 'digits'], /NAME=ARCH:WEIGHTS/],
    [['--port', 'x'], /--port/],
    [['--port', '70000'], /port/],
    [['--tls-key', 'key.pem'], /--tls-cert/],
    [['--max-batch', '0'], /--max-batch/],
    [['--device', 'cats=cpu'], /names cats, which is no model/],
    [['--model', 'a=a.pth', '--model', 'a=b.pth'], /two of the name a/],
    [['--body-memory', '1 GB'], /--body-memory/],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stdout, stderr } = await runCli('serve', ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });
});
