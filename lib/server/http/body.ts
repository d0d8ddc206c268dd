import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import { AbortError } from '../../errors.js';
import { RequestError } from '../request-error.js';
import type { ServedModel } from '../served-model.js';
import type { BodyBudget } from './body-budget.js';
import { BodyMemory, discardChunk } from './body-memory.js';
import { Chunks } from './chunks.js';

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

  /** @param budget whose `release` is called when a request is over. */
  constructor(readonly budget: BodyBudget) {}

  /** Tells `done` the body, RequestError 413, or ResNetError `QUEUE_FULL`. */
  read(request: FastifyRequest, payload: IncomingMessage, done: BodyListener): void {
    const { headers } = request;
    const limit = request.routeOptions.bodyLimit as number;
    const length = Number(headers['content-length'] ?? 0);
    if (length > limit) {
      done(sizeError(limit));
      return;
    }
    try {
      this.budget.checkRoom(length);
    } catch (error) {
      skipBody(payload);
      done(error as Error);
      return;
    }
    // What is compressed gets longer.
    const expected = headers['content-encoding'] === undefined ? length : 0;
    const body = new IncomingBody(this.#memory, paddingBefore(Number(headerLength(request))), expected);
    const add = (chunk: Buffer) => {
      if (body.size + chunk.length > limit) throw sizeError(limit);
      this.budget.hold(request, chunk.length);
      body.add(chunk);
    };
    receive(payload, body, add, done);
  }

  /** Takes the memory of a body back, which nothing reads any more. */
  reuse(request: FastifyRequest): void {
    const { buffer } = request.body as Buffer;
    request.body = undefined;
    this.#memory.giveBack(buffer);
  }
}

/**
 * A hook that refuses requests for a model whose queue is full, or that is not there, before their bodies are read, which
 * are large: under overload most are refused.
 */
export function refuseWhenFull(modelOf: (request: FastifyRequest) => ServedModel) {
  return (request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    let refused: Error | undefined;
    try {
      modelOf(request).batcher.checkRoom();
    } catch (error) {
      refused = error as Error;
      skipBody(request.raw);
    }
    done(refused);
  };
}

/** Lets a body that was refused pass by: its client sends it whatever the answer is. */
export function skipBody(payload: IncomingMessage): void {
  payload.on('data', discardChunk);
  payload.resume(); // it may have been read before, in part
}

/**
 * A body of which a part has come. Where memory for all of it is free, each chunk is put in its place at once, while the
 * caches still have it; new memory is taken only when all is there, since a client may promise more than it sends.
 */
class IncomingBody {
  #place: ArrayBufferLike | undefined;
  #chunks = new Chunks();
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
    else this.#chunks.add(chunk);
  }

  whole(): Buffer {
    const place = this.#place ?? this.memory.take(this.padding + this.#size);
    let start = 0;
    for (const chunk of this.#chunks.list()) {
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
    for (const chunk of this.#chunks.list()) discardChunk(chunk);
    this.#chunks = new Chunks();
  }

  /** Empties the chunk. */
  #put(chunk: Buffer, place: ArrayBufferLike, start: number): void {
    new Uint8Array(place, this.padding + start).set(chunk);
    discardChunk(chunk);
  }
}

/** By events: reading in any other way joins chunks that wait, which is one more copy. Calls `done` once. */
function receive(
  payload: IncomingMessage,
  body: IncomingBody,
  add: (chunk: Buffer) => void,
  done: BodyListener,
): void {
  let isDone = false;
  const fail = (error: Error) => {
    if (isDone) return;
    isDone = true;
    body.drop();
    done(error);
  };
  // Thrown from a listener, it would end the process.
  const orFail = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      fail(error as Error);
      return undefined;
    }
  };
  payload.on('data', (chunk: Buffer) => {
    if (isDone) discardChunk(chunk);
    else orFail(() => add(chunk));
  });
  payload.on('end', () => {
    const whole = isDone ? undefined : orFail(() => body.whole());
    if (!whole) return;
    isDone = true;
    done(null, whole);
  });
  payload.on('error', (error: NodeJS.ErrnoException) =>
    fail(error.code === 'ECONNRESET' ? clientLeft() : error),
  );
  payload.on('close', () => {
    if (!isDone) fail(clientLeft()); // an error is dear to make, and every request closes
  });
  payload.resume(); // what decompresses it comes paused
}

/** So that tensors which begin `start` bytes behind it are aligned; what is no such place is found out later. */
function paddingBefore(start: number): number {
  return Number.isSafeInteger(start) && start >= 0 ? (ALIGNMENT - (start % ALIGNMENT)) % ALIGNMENT : 0;
}

function clientLeft(): AbortError {
  return new AbortError(new Error('The client left before the body was complete'));
}

function sizeError(limit: number): RequestError {
  return new RequestError(413, 'TOO_LARGE', `The body has more than ${limit} bytes`);
}
