import { afterAll } from 'vitest';
import { createServer } from '../../lib/server/create-server.js';
import type { InferenceServer, ServerOptions } from '../../lib/server/server.js';
import { tinyNetwork } from '../runtime/tiny-network.js';

export interface Started {
  readonly server: InferenceServer;
  readonly url: string;
  /** POSTs an inference request in JSON. */
  infer(body: unknown, path?: string, headers?: Record<string, string>): Promise<Response>;
}

/** A server on a free port of loopback that serves the tiny network as `tiny`; closed after the tests of the file. */
export async function start(options: Partial<ServerOptions> = {}): Promise<Started> {
  const server = await createServer({
    models: {
      tiny: { model: tinyNetwork, outputs: ['logits', 'avgpool'], labels: ['a', 'b', 'c', 'd', 'e'] },
    },
    defaults: { device: 'cpu', threads: 1, maxBatch: 4 },
    port: 0,
    ...options,
  });
  afterAll(() => server.close());
  const url = await server.listen();
  const infer: Started['infer'] = (body, path = '/v2/models/tiny/infer', headers = {}) =>
    fetch(url + path, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });
  return { server, url, infer };
}

/** The answer's status and body. */
export async function answer(
  response: Response | Promise<Response>,
): Promise<{ status: number; body: unknown }> {
  const { status, json } = await Promise.resolve(response).then((it) => ({
    status: it.status,
    json: it.json(),
  }));
  return { status, body: await json };
}
