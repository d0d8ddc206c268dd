import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { RequestError } from '../request-error.js';
import { BodyMemory, discardChunk } from './body-memory.js';

// Of a cache line; that of the widest values that tensors have would do.
const ALIGNMENT = 64;

type BodyListener = (error: Error | null, body?: Buffer) => void;

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

  /** Tells `done` the body, or RequestError 413. */
  read(request: FastifyRequest, payload: IncomingMessage, done: BodyListener): void {
    const { headers } = request;
    const limit = request.routeOptions.bodyLimit as number;
    const length = Number(headers['content-length'] ?? 0);
    if (length > limit) {
      done(sizeError(limit));
      return;
    }
    // What is compressed gets longer.
    const expected = headers['content-encoding'] === undefined ? length : 0;
    const body = new IncomingBody(this.#memory, paddingBefore(Number(headerLength(request))), expected);
    receive(payload, body, limit, done);
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

/**
 * A body of which a part has come. Where memory for all of it is free, each chunk is put in its place at once, while the
 * caches still have it; new memory is taken only when all is there, since a client may promise more than it sends.
 */
class IncomingBody {
  #place: ArrayBufferLike | undefined;
  #chunks: Buffer[] = [];
  #size = 0;

  /** @param expected its length, or 0. */
  constructor(
    private readonly memory: BodyMemory,
    private readonly padding: number,
    expected: number,
  ) {
    this.#place = memory.takeFree(padding + expected);
  }

  get size(): number {
    return this.#size;
  }

  /** Takes the chunk over. */
  add(chunk: Buffer): void {
    const start = this.#size;
    this.#size += chunk.length;
    if (this.#place) this.#put(chunk, this.#place, start);
    else this.#chunks.push(chunk);
  }

  whole(): Buffer {
    const place = this.#place ?? this.memory.take(this.padding + this.#size);
    let start = 0;
    for (const chunk of this.#chunks) {
      const { length } = chunk;
      this.#put(chunk, place, start);
      start += length;
    }
    return Buffer.from(place, this.padding, this.#size);
  }

  /** Nobody wants the rest. */
  drop(): void {
    if (this.#place) this.memory.giveBack(this.#place);
    this.#place = undefined;
    this.#chunks = [];
  }

  /** Empties the chunk. */
  #put(chunk: Buffer, place: ArrayBufferLike, start: number): void {
    new Uint8Array(place, this.padding + start).set(chunk);
    discardChunk(chunk);
  }
}

/** By events: reading in any other way joins chunks that wait, which is one more copy. Calls `done` once. */
function receive(payload: IncomingMessage, body: IncomingBody, limit: number, done: BodyListener): void {
  let isDone = false;
  const fail = (error: Error) => {
    if (isDone) return;
    isDone = true;
    body.drop();
    done(error);
  };
  payload.on('data', (chunk: Buffer) => {
    if (isDone) discardChunk(chunk);
    else if (body.size + chunk.length > limit) fail(sizeError(limit));
    else body.add(chunk);
  });
  payload.on('end', () => {
    if (isDone) return;
    let whole: Buffer;
    try {
      whole = body.whole();
    } catch (error) {
      fail(error as Error); // no memory: thrown from here, it would end the process
      return;
    }
    isDone = true;
    done(null, whole);
  });
  payload.on('error', fail);
  payload.on('close', () => {
    if (!isDone) fail(new Error('The client left before the body was complete'));
  });
  payload.resume(); // what decompresses it comes paused
}

/** So that tensors which begin `start` bytes behind it are aligned; what is no such place is found out later. */
function paddingBefore(start: number): number {
  return Number.isSafeInteger(start) && start >= 0 ? (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT : 0;
}

function sizeError(limit: number): RequestError {
  return new RequestError(413, 'TOO_LARGE', `The body has more than ${limit} bytes`);
}
