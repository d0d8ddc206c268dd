import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AbortError, type ErrorCode, ResNetError } from '../../errors.js';
import { RequestError } from '../request-error.js';

/** What every error is answered with; the protocol asks for `error`. */
export interface ErrorBody {
  readonly error: string;
  readonly code: string;
}

export interface HttpError extends ErrorBody {
  readonly status: number;
}

/** The client closed the request: nobody reads the answer, but logs and metrics have it. */
export const CLIENT_CLOSED = 499;
const RETRY_AFTER_S = 1;

const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  INVALID_SHAPE: 400,
  UNSUPPORTED: 400,
  UNKNOWN_NODE: 400,
  IMAGE_DECODE: 400,
  QUEUE_FULL: 429,
  SESSION_CLOSED: 503,
  DEVICE_LOST: 503,
  OUT_OF_MEMORY: 503,
  DEADLINE_EXCEEDED: 504,
};

/** What an error is answered with. Of errors nobody expected the client is not told the message. */
export function httpError(error: unknown): HttpError {
  if (error instanceof RequestError) {
    return { status: error.statusCode, error: error.message, code: error.code };
  }
  if (error instanceof ResNetError) {
    return { status: STATUS[error.code] ?? 500, error: error.message, code: error.code };
  }
  if (error instanceof AbortError) return { status: CLIENT_CLOSED, error: error.message, code: error.code };
  const { statusCode = 500, message } = error as Partial<FastifyError>;
  if (statusCode >= 500)
    return { status: 500, error: 'The server failed; its log says why', code: 'INTERNAL' };
  const code = statusCode === 413 || statusCode === 414 ? 'TOO_LARGE' : 'INVALID_ARGUMENT';
  return { status: statusCode, error: message ?? STATUS_CODES[statusCode] ?? 'Refused', code };
}

/** Answers errors, and what is not there, as JSON with a status. */
export function answerErrors(app: FastifyInstance, onError: (error: HttpError) => void): void {
  app.setErrorHandler((error, request, reply) => {
    const answer = httpError(error);
    if (answer.status >= 500) request.log.error({ err: error }, answer.error);
    onError(answer);
    return sendError(reply, answer);
  });
  app.setNotFoundHandler((request: FastifyRequest, reply) =>
    sendError(reply, {
      status: 404,
      error: `There is no ${request.method} ${request.url}`,
      code: 'NOT_FOUND',
    }),
  );
}

export function sendError(reply: FastifyReply, { status, error, code }: HttpError): FastifyReply {
  if (status === 429 || status === 503) reply.header('retry-after', RETRY_AFTER_S);
  // What is left of a body that was refused would be taken for the next request.
  if (status === 413 || code === 'DRAINING') reply.header('connection', 'close');
  // But under overload it passes by. Cut off in the middle of it, a client might not even see this answer.
  if (status === 429) reply.removeHeader('connection');
  return reply.code(status).send({ error, code } satisfies ErrorBody);
}
