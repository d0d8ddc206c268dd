/** What a request can be refused for that is no error of the library: HTTP's status, and a stable code. */
export class RequestError extends Error {
  constructor(
    readonly statusCode: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'RequestError';
  }
}

/** A request that cannot be understood or done: 400. */
export function badRequest(message: string): RequestError {
  return new RequestError(400, 'INVALID_ARGUMENT', message);
}

/** Something that is not there: 404. */
export function notFound(message: string): RequestError {
  return new RequestError(404, 'NOT_FOUND', message);
}
