import { setTimeout as sleep } from 'node:timers/promises';
import { AbortError, ResNetError } from '../errors.js';
import { invalid } from '../is.js';
import type { SourceAdapter } from './adapter.js';

export interface HttpAdapterOptions {
  /** Sent with every request, authorisation for instance. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Tries of a request that fails on the way or with a status of 429 or 5xx. Default 3. */
  readonly tries?: number;
  /** Milliseconds until a server must have begun to answer. Default 30,000. */
  readonly timeoutMs?: number;
}

const FIRST_PAUSE_MS = 500;

/**
 * Images and `.tar` shards by URL, http or https. Nothing in the package fetches a URL unless it is given one of these:
 * whoever may choose the URLs decides what this machine connects to.
 */
export class HttpAdapter implements SourceAdapter {
  readonly #urls: Iterable<string> | AsyncIterable<string>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #tries: number;
  readonly #timeoutMs: number;

  constructor(urls: Iterable<string> | AsyncIterable<string>, options: HttpAdapterOptions = {}) {
    this.#urls = urls;
    this.#headers = options.headers ?? {};
    this.#tries = options.tries ?? 3;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /** @throws ResNetError `INVALID_ARGUMENT` for what is no http(s) URL. */
  async *list(): AsyncGenerator<string, void, undefined> {
    for await (const url of this.#urls) {
      if (!/^https?:\/\/[^/]/i.test(url)) throw invalid('a URL', 'one with http:// or https://', url);
      yield url;
    }
  }

  /** @throws ResNetError `DOWNLOAD` when the last try fails; AbortError. */
  async open(url: string, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#request(url, signal);
      } catch (error) {
        if (signal?.aborted) throw new AbortError(signal.reason);
        if (attempt >= this.#tries || (error instanceof ResNetError && !isTemporary(error))) {
          throw downloadError(url, error);
        }
      }
      await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { signal });
    }
  }

  async #request(url: string, signal: AbortSignal | undefined): Promise<AsyncIterable<Uint8Array>> {
    const timer = new AbortController();
    const timeout = setTimeout(() => timer.abort(new Error('no answer in time')), this.#timeoutMs);
    try {
      const stop = signal ? AbortSignal.any([signal, timer.signal]) : timer.signal;
      const response = await fetch(url, { headers: this.#headers, signal: stop });
      if (response.ok && response.body) return response.body;
      await response.body?.cancel();
      throw new ResNetError('DOWNLOAD', `Cannot fetch ${url}: the server answers ${response.status}`, {
        cause: response.status,
      });
    } finally {
      clearTimeout(timeout);
    }
  }
}

function isTemporary({ cause: status }: ResNetError): boolean {
  return status === 429 || (typeof status === 'number' && status >= 500);
}

function downloadError(url: string, error: unknown): ResNetError {
  if (error instanceof ResNetError) return error;
  const { message, cause } = error as Error;
  const reason = cause instanceof Error ? cause.message : message;
  return new ResNetError('DOWNLOAD', `Cannot fetch ${url}: ${reason}`, { cause: error });
}
