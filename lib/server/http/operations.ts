import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../metrics.js';
import { RequestError } from '../request-error.js';
import { bearerCheck, unauthorized } from './auth.js';

/** What requests in general are held to. */
export interface Gate {
  /** Whether the server takes new requests. */
  readonly isOpen: () => boolean;
  /** Whether it can also answer them. */
  readonly isReady: () => boolean;
  readonly token: string | undefined;
  /** Paths that need no token. */
  readonly open: (path: string) => boolean;
  readonly metrics: Metrics;
}

/** Requests that came and are not answered. */
export class InFlight {
  #count = 0;
  #none: (() => void) | undefined;

  add(): void {
    this.#count++;
  }

  remove(): void {
    this.#count--;
    if (this.#count === 0) this.#none?.();
  }

  /** Until there are none, but no longer than `ms`. */
  async none(ms: number): Promise<void> {
    if (this.#count === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#none = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }
}

const isHealth = (path: string) => path.startsWith('/v2/health/');

/** Counts requests, checks the token, and refuses all but health checks while the server drains. */
export function watchRequests(app: FastifyInstance, gate: Gate, inFlight: InFlight): void {
  const isRight = gate.token === undefined ? () => true : bearerCheck(gate.token);
  // Hooks by callback: a promise each would be a turn of the event loop's microtasks for every request.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    const path = request.url.split('?', 1)[0] as string;
    if (isHealth(path)) return done();
    if (!gate.isOpen()) return done(new RequestError(503, 'DRAINING', 'The server is shutting down'));
    inFlight.add();
    reply.raw.once('close', () => inFlight.remove());
    if (gate.open(path) || isRight(request.headers.authorization)) return done();
    reply.header('www-authenticate', 'Bearer');
    done(unauthorized());
  });
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    gate.metrics.request(route, request.method, reply.statusCode, reply.elapsedTime);
    done();
  });
}

/** Health checks and Prometheus' metrics. */
export async function operationRoutes(app: FastifyInstance, { isReady, metrics }: Gate): Promise<void> {
  app.get('/v2/health/live', () => ({ live: true }));
  app.get('/v2/health/ready', (_request, reply) =>
    reply.code(isReady() ? 200 : 503).send({ ready: isReady() }),
  );
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
