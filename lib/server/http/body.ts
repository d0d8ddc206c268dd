import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { RequestError } from '../request-error.js';
import { BodyMemory, discardChunk } from './body-memory.js';

// Of a cache line; that of the widest values that tensors have would do.
const ALIGNMENT = 64;

/** Where the JSON of a body ends and the bytes of tensors begin, as the client says. */
export function headerLength({ headers }: FastifyRequest): string | undefined {
  return headers['inference-header-content-length'] as string | undefined;
}

/**
 * Receives whole bodies, each put where the tensors behind its JSON are aligned, so that they can be used in place: they
 * are nearly all of it, and each copy of them is time that the event loop has for nothing else.
 */
export class BodyReader {
  readonly #memory = new BodyMemory();

  /** @throws RequestError 413. */
  async read(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> {
    const limit = request.routeOptions.bodyLimit as number;
    checkSize(Number(request.headers['content-length'] ?? 0), limit);
    const chunks = await receive(payload, limit);
    const size = chunks.reduce((sum, { length }) => sum + length, 0);
    const start = Number(headerLength(request));
    const padding =
      Number.isSafeInteger(start) && start >= 0 ? (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT : 0;
    const body = Buffer.from(this.#memory.take(padding + size), padding, size);
    let offset = 0;
    for (const chunk of chunks) {
      body.set(chunk, offset);
      offset += chunk.length;
      discardChunk(chunk);
    }
    return body;
  }

  /** Takes the memory of a body back, which nothing reads any more. */
  reuse(request: FastifyRequest): void {
    const { buffer } = request.body as Buffer;
    request.body = undefined;
    this.#memory.giveBack(buffer);
  }
}

/** Lets a body that was refused pass by: its client sends it whatever the answer is. */
export function skipBody(payload: IncomingMessage): void {
  payload.on('data', discardChunk);
}

/** By events: reading in any other way joins chunks that wait, which is one more copy. */
function receive(payload: IncomingMessage, limit: number): Promise<readonly Buffer[]> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    payload.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else reject(sizeError(limit));
    });
    payload.on('end', () => resolve(chunks));
    payload.on('error', reject);
    payload.on('close', () => reject(new Error('The client left before the body was complete')));
    payload.resume(); // what decompresses it comes paused
  });
}

function checkSize(size: number, limit: number): void {
  if (size > limit) throw sizeError(limit);
}

function sizeError(limit: number): RequestError {
  return new RequestError(413, 'TOO_LARGE', `The body has more than ${limit} bytes`);
}
