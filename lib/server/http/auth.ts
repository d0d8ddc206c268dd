import { createHash, timingSafeEqual } from 'node:crypto';
import { RequestError } from '../request-error.js';

/** Says whether an `Authorization` header carries the token. Takes the same time for every wrong one. */
export function bearerCheck(token: string): (authorization: string | undefined) => boolean {
  // Digests are of one length, which timingSafeEqual needs, and hide the length of the token.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(`bearer ${token}`);
  return (authorization = '') =>
    timingSafeEqual(digest(authorization.replace(/^bearer +/i, 'bearer ')), expected);
}

export function unauthorized(): RequestError {
  return new RequestError(
    401,
    'UNAUTHORIZED',
    'Expected the header "Authorization: Bearer TOKEN" with the right token',
  );
}
