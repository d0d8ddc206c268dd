import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { RequestError } from '../request-error.js';

// Of the widest values that tensors have.
const ALIGNMENT = 4;

/** Where the JSON of a body ends and the bytes of tensors begin, as the client says. */
export function headerLength({ headers }: FastifyRequest): string | undefined {
  return headers['inference-header-content-length'] as string | undefined;
}

/**
 * A whole body, put where the tensors behind its JSON are aligned, so that they can be used in place: they are nearly all
 * of it, and each copy of them is time that the event loop has for nothing else.
 * @throws RequestError 413.
 */
export async function readAlignedBody(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> {
  const limit = request.routeOptions.bodyLimit as number;
  checkSize(Number(request.headers['content-length'] ?? 0), limit);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of payload as AsyncIterable<Buffer>) {
    size += chunk.length;
    checkSize(size, limit);
    chunks.push(chunk);
  }
  const start = Number(headerLength(request));
  const padding =
    Number.isSafeInteger(start) && start >= 0 ? (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT : 0;
  // A buffer of its own: a pool's would begin anywhere.
  const body = Buffer.from(new ArrayBuffer(padding + size), padding);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

function checkSize(size: number, limit: number): void {
  if (size > limit) throw new RequestError(413, 'TOO_LARGE', `The body has more than ${limit} bytes`);
}
