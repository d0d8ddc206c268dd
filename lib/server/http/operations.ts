import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../metrics.js';
import { badRequest, RequestError } from '../request-error.js';
import { bearerCheck, unauthorized } from './auth.js';
import type { BodyBudget } from './body-budget.js';
import { CLIENT_CLOSED } from './errors.js';

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
  /** Of the bodies of requests. */
  readonly budget: BodyBudget;
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
    reply.raw.once('close', () => {
      inFlight.remove();
      gate.budget.release(request);
      if (!reply.raw.writableFinished) clientLeft(request, reply, gate.metrics);
    });
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
      return done(badRequest('Expected the header Host'));
    if (gate.open(path) || isRight(request.headers.authorization)) return done();
    reply.header('www-authenticate', 'Bearer');
    done(unauthorized());
  });
  app.addHook('onResponse', (request, reply, done) => {
    gate.metrics.request(routeOf(request), request.method, reply.statusCode, reply.elapsedTime);
    done();
  });
}

/** Fastify says nothing of requests whose answer nobody waited for. */
function clientLeft(request: FastifyRequest, { elapsedTime, log }: FastifyReply, metrics: Metrics): void {
  metrics.request(routeOf(request), request.method, CLIENT_CLOSED, elapsedTime);
  log.info({ res: { statusCode: CLIENT_CLOSED }, responseTime: elapsedTime }, 'the client left');
}

function routeOf({ routeOptions }: FastifyRequest): string {
  return routeOptions.url ?? 'none';
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
