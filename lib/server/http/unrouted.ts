import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { type ErrorBody, type HttpError, httpError, sendError } from './errors.js';

// What never comes to a route is answered as everything else is: no HTTP, headers that are too large or too slow, URLs
// that cannot be decoded, expectations that nothing here meets.

type Answers = Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'>;

/** What Node's own errors are answered with; all others are about what is no HTTP. */
const BY_CODE: Readonly<Record<string, HttpError>> = {
  HPE_HEADER_OVERFLOW: { status: 431, error: 'The headers are too large', code: 'TOO_LARGE' },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    error: 'The request did not arrive in time: send it faster, or raise the limit of the server',
    code: 'TIMEOUT',
  },
};

export function unroutedAnswers(onError: (code: string) => void): Answers {
  return {
    frameworkErrors: (error, _request, reply) => {
      const answer = httpError(error);
      onError(answer.code);
      sendError(reply, answer);
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || socket.destroyed) return;
      const malformed = { status: 400, error: `This is no HTTP: ${error.message}`, code: 'INVALID_ARGUMENT' };
      const answer = BY_CODE[error.code] ?? malformed;
      onError(answer.code);
      writeError(socket as Socket, answer);
    },
  };
}

/** Node would answer these requests itself, without a word. */
export function answerExpectations(app: FastifyInstance): void {
  app.server.on('checkExpectation', ({ headers }: IncomingMessage, response: ServerResponse) => {
    const error = `Expected "100-continue" for the header Expect, or none, but received "${headers.expect}"`;
    response.writeHead(417, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify({ error, code: 'UNSUPPORTED' } satisfies ErrorBody));
  });
}

/** To a connection of which no request is to be had; it is of no use any more. */
function writeError(socket: Socket, { status, error, code }: HttpError): void {
  const body = JSON.stringify({ error, code } satisfies ErrorBody);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  if (socket.writable) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
  socket.destroySoon();
}
