import { randomUUID } from 'node:crypto';

/** The client's own id where it is one that logs can hold; else a new one. */
export function requestId(header: unknown): string {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : randomUUID();
}
