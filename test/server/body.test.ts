import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { describe, expect, test, vi } from 'vitest';
import { native } from '../../lib/runtime/native.js';
import { BodyReader } from '../../lib/server/http/body.js';
import { BodyBudget } from '../../lib/server/http/body-budget.js';

const LIMIT = 2 ** 20;

/** Reads what `chunks` say; without `isWhole` the client leaves behind them. */
async function read(bodies: BodyReader, chunks: readonly Buffer[], headers = {}, isWhole = true) {
  const request = { headers, routeOptions: { bodyLimit: LIMIT } } as unknown as FastifyRequest;
  const payload = new PassThrough();
  const body = new Promise<Buffer>((resolve, reject) => {
    bodies.read(request, payload as unknown as IncomingMessage, (error, whole) =>
      error ? reject(error) : resolve(whole as Buffer),
    );
  });
  // Copies: what was received is freed.
  for (const chunk of chunks) payload.write(Buffer.from(new Uint8Array(chunk).buffer));
  if (isWhole) payload.end();
  else payload.destroy();
  request.body = await body;
  return { request, body: request.body as Buffer };
}

const filled = (value: number, length = 2 ** 16) => Buffer.alloc(length, value);
const lengthOf = (chunks: readonly Buffer[]) => chunks.reduce((sum, { length }) => sum + length, 0);

describe('a body', () => {
  test('is whole in new memory and in memory that was used before', async () => {
    const bodies = new BodyReader(new BodyBudget(2 ** 30));
    const buffers = new Set<ArrayBufferLike>();
    for (let round = 1; round <= 4; round++) {
      const chunks = [filled(round), filled(round + 100), filled(round + 200, 1000)];
      const headers = { 'content-length': String(lengthOf(chunks)), 'inference-header-content-length': '72' };
      const { request, body } = await read(bodies, chunks, headers);
      expect(body.equals(Buffer.concat(chunks))).toBe(true);
      expect((body.byteOffset + 72) % 64).toBe(0);
      buffers.add(body.buffer);
      bodies.reuse(request);
    }
    expect(buffers.size).toBe(1);
  });

  test('of unknown or other length than the header says is as long as it is', async () => {
    const bodies = new BodyReader(new BodyBudget(2 ** 30));
    const chunks = [filled(1), filled(2)];
    bodies.reuse((await read(bodies, chunks)).request);
    const compressed = { 'content-encoding': 'gzip', 'content-length': '100' };
    expect((await read(bodies, chunks, compressed)).body.equals(Buffer.concat(chunks))).toBe(true);
  });

  test('for which there is no memory is refused', async () => {
    using allocate = vi.spyOn(native(), 'allocate');
    allocate.mockImplementationOnce(() => {
      throw new Error('no memory');
    });
    await expect(read(new BodyReader(new BodyBudget(2 ** 30)), [filled(1)])).rejects.toThrow('no memory');
  });

  test('whose client leaves gives its memory back', async () => {
    const bodies = new BodyReader(new BodyBudget(2 ** 30));
    const chunks = [filled(1), filled(2)];
    const headers = { 'content-length': String(lengthOf(chunks)) };
    const first = await read(bodies, chunks, headers);
    const { buffer } = first.body;
    bodies.reuse(first.request);
    await expect(read(bodies, [filled(3)], headers, false)).rejects.toMatchObject({ code: 'ABORT_ERR' });
    const { body } = await read(bodies, chunks, headers);
    expect(body.buffer).toBe(buffer);
    expect(body.equals(Buffer.concat(chunks))).toBe(true);
  });

  test.each([
    ['said to be', { 'content-length': String(LIMIT + 1) }],
    ['found to be', {}],
  ])('%s over the limit is refused', async (_, headers) => {
    const chunks = new Array(17).fill(filled(1));
    await expect(read(new BodyReader(new BodyBudget(2 ** 30)), chunks, headers)).rejects.toMatchObject({
      statusCode: 413,
    });
  });
});
