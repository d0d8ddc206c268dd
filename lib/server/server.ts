import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { totalmem } from 'node:os';
import { promisify } from 'node:util';
import compress from '@fastify/compress';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { ResNetError } from '../errors.js';
import { fileError } from '../file-error.js';
import { checkInteger, checkOptions, invalid, MAX_TIMER_MS } from '../is.js';
import { createGrpcServer, type GrpcOptions, grpcCredentials } from './grpc/service.js';
import { BodyReader } from './http/body.js';
import { BodyBudget } from './http/body-budget.js';
import { answerErrors } from './http/errors.js';
import { imageRoutes } from './http/image-routes.js';
import { openApi } from './http/openapi.js';
import { type Gate, InFlight, operationRoutes, watchRequests } from './http/operations.js';
import { isPage, pageRoutes } from './http/page.js';
import { requestId } from './http/request-id.js';
import { answerExpectations, unroutedAnswers } from './http/unrouted.js';
import { v2Routes } from './http/v2-routes.js';
import { Metrics } from './metrics.js';
import { type BatchListener, MAX_NAME_LENGTH, type ModelSource, Models } from './models.js';
import type { ServedModelOptions } from './served-model.js';

export interface ServerOptions {
  /** What is served, by name: models, paths of their files, or either with options of its own. */
  readonly models: Readonly<Record<string, ModelSource>>;
  /** Default: loopback, which nothing outside the machine reaches. */
  readonly host?: string | undefined;
  /** 0: any that is free. Default 8000. */
  readonly port?: number | undefined;
  /** For gRPC, beside HTTP; 0: any that is free. Default: no gRPC. */
  readonly grpcPort?: number | undefined;
  /** For all models that do not say it themselves: device, dtype, threads, maxBatch, maxQueue, outputs, … */
  readonly defaults?: Omit<ServedModelOptions, 'model' | 'labels' | 'version'> | undefined;
  /** Bytes of the largest request. Default: what a batch of every model takes as JSON, and at least 16 MiB. */
  readonly bodyLimit?: number | undefined;
  /**
   * Bytes that the bodies of all requests under way may take together; further ones are refused with 429. Default: a quarter
   * of the memory that the process may have, and at least `bodyLimit`.
   */
  readonly bodyMemory?: number | undefined;
  /** How long a client may take to send a request, in milliseconds. Default 60,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How long `close` waits for answers under way, in milliseconds. Default 30,000. */
  readonly drainMs?: number | undefined;
  /** Whether clients may load and unload models. Default false. */
  readonly repository?: boolean | undefined;
  /** Needed as `Authorization: Bearer TOKEN` by all requests but health checks and the page. Default: none. */
  readonly token?: string | undefined;
  /** Paths of the key and the certificate (PEM) for HTTPS. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  /** As Fastify takes it: true for JSON lines on standard output. Default false. */
  readonly logger?: FastifyServerOptions['logger'];
  /** Is told of every batch that has run. */
  readonly onBatch?: BatchListener | undefined;
}

const OPTIONS: readonly string[] = [
  'models',
  'host',
  'port',
  'grpcPort',
  'defaults',
  'bodyLimit',
  'bodyMemory',
  'requestTimeoutMs',
  'drainMs',
  'repository',
  'token',
  'tls',
  'logger',
  'onBatch',
] satisfies (keyof ServerOptions)[];

const { version: VERSION } = createRequire(import.meta.url)('../../package.json') as { version: string };
const MIN_BODY_LIMIT = 2 ** 24;
// For answers on their way when the server ends.
const FLUSH_MS = 1000;
// A float as JSON: sign, digits, exponent and comma.
const JSON_BYTES_PER_VALUE = 14;

/** An inference server. Made by `createServer`; its models are loaded and warm. */
export class InferenceServer {
  #open = true;
  #grpcPort: number | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    /** The Fastify instance, for routes and hooks of your own before `listen`. */
    readonly app: FastifyInstance,
    readonly models: Models,
    private readonly inFlight: InFlight,
    private readonly grpc: GrpcServer,
    private readonly tls: GrpcOptions['tls'],
    private readonly options: ServerOptions,
  ) {}

  /** False once `close` was called. */
  get isOpen(): boolean {
    return this.#open;
  }

  /**
   * Starts to answer.
   * @returns the address, such as `http://127.0.0.1:8000`.
   * @throws ResNetError `INVALID_ARGUMENT` when the address cannot be had: a port in use, a host that is not here.
   */
  async listen(): Promise<string> {
    const { host = '127.0.0.1', port = 8000, grpcPort } = this.options;
    await this.app.listen({ host, port }).catch((cause) => cannotListen(host, port, cause));
    if (grpcPort !== undefined) {
      const bind = promisify(this.grpc.bindAsync.bind(this.grpc));
      const address = host.includes(':') ? `[${host}]` : host;
      this.#grpcPort = await bind(`${address}:${grpcPort}`, grpcCredentials(this.tls)).catch((cause) =>
        cannotListen(host, grpcPort, cause),
      );
    }
    return this.url;
  }

  /** The port of gRPC, once it listens. */
  get grpcPort(): number | undefined {
    return this.#grpcPort;
  }

  /** Where it listens. */
  get url(): string {
    const { address, family, port } = this.app.server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${address}]` : address;
    return `${this.options.tls ? 'https' : 'http'}://${host}:${port}`;
  }

  /** Takes no more requests, answers those it has, and frees the models. Any number of times. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { drainMs = 30_000 } = this.options;
    this.#open = false;
    await this.inFlight.none(drainMs);
    await Promise.all([this.#closeGrpc(), this.app.close()]);
    await this.models.close();
  }

  /** Answers that were given may not have gone out yet. */
  async #closeGrpc(): Promise<void> {
    const timer = setTimeout(() => this.grpc.forceShutdown(), FLUSH_MS);
    await promisify(this.grpc.tryShutdown.bind(this.grpc))().catch(() => undefined);
    clearTimeout(timer);
  }
}

/** What `createServer` does. */
export async function openServer(options: ServerOptions): Promise<InferenceServer> {
  checkServerOptions(options);
  const tls = options.tls && (await readTls(options.tls));
  const { onBatch } = options;
  const models: Models = new Models(options.models, options.defaults ?? {}, {
    onBatch: (name, report) => {
      metrics.batch(name, report);
      onBatch?.(name, report);
    },
    onRestart: (name, { reason, restarts }) => {
      metrics.restart(name);
      log?.error({ err: reason, model: name, restarts }, 'A device was lost: its process is started again');
    },
  });
  const metrics = new Metrics(() => models);
  let log: FastifyBaseLogger | undefined;
  await models.loadAll().catch(async (error) => {
    await models.close();
    throw error;
  });

  const { token, repository = false, bodyLimit = bodyLimitFor(models) } = options;
  const budget = new BodyBudget(Math.max(bodyLimit, options.bodyMemory ?? availableMemory() / 4));
  const bodies = new BodyReader(budget);
  const onError = (code: string) => metrics.error(code);
  const app = createApp({ ...options, bodyLimit }, tls, onError);
  log = app.log;
  const inFlight = new InFlight();
  const isOpen = () => server.isOpen;
  const common = { models, serverVersion: VERSION, repository };
  const isReady = () => isOpen() && models.areReady;
  const grpcOptions = { ...common, inFlight, isOpen, token, limit: bodyLimit, budget, tls, onError, log };
  const grpc = createGrpcServer(grpcOptions);
  const server: InferenceServer = new InferenceServer(app, models, inFlight, grpc, tls, options);
  const gate: Gate = { isOpen, isReady, token, open: isPage, metrics, budget };
  watchRequests(app, gate, inFlight);
  answerErrors(app, ({ code }) => onError(code));
  await app.register(compress, { global: true, encodings: ['gzip', 'deflate'], threshold: 1024 });
  await app.register(operationRoutes, gate);
  await app.register(pageRoutes);
  await app.register(imageRoutes, { models, bodies });
  app.get('/openapi.json', () => openApi(VERSION, token !== undefined));
  await app.register(v2Routes, { ...common, bodies });
  return server;
}

function createApp(
  { logger = false, bodyLimit, requestTimeoutMs = 60_000 }: ServerOptions & { bodyLimit: number },
  tls: { key: Buffer; cert: Buffer } | undefined,
  onError: (code: string) => void,
): FastifyInstance {
  const common = {
    logger,
    bodyLimit,
    // Of receiving a whole request: slow clients must not hold connections.
    requestTimeout: requestTimeoutMs,
    routerOptions: { maxParamLength: MAX_NAME_LENGTH },
    // By then every request is answered, or has had its time: what is left has not come to its end, and may never.
    forceCloseConnections: true,
    ...unroutedAnswers(onError),
    genReqId: ({ headers }: { headers: Record<string, unknown> }) => requestId(headers['x-request-id']),
  };
  // Node looks for requests that take too long only so often: every 30 s by default.
  const connectionsCheckingInterval = Math.min(requestTimeoutMs, 5000);
  // Requests without a host are refused with the others that are.
  const server = { connectionsCheckingInterval, headersTimeout: requestTimeoutMs, requireHostHeader: false };
  const app = tls
    ? Fastify({ ...common, https: { ...server, ...tls } })
    : Fastify({ ...common, http: server });
  answerExpectations(app as FastifyInstance);
  // Fastify's type depends on the kind of server, which nothing here does.
  return app as FastifyInstance;
}

function cannotListen(host: string, port: number, cause: Error): never {
  throw new ResNetError('INVALID_ARGUMENT', `Cannot listen on ${host}:${port}: ${cause.message}`, { cause });
}

/** Of the machine, or of the container. */
function availableMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
}

function bodyLimitFor(models: Models): number {
  const sizes = models.list().map(({ batcher, transform, session }) => {
    return batcher.maxBatch * session.channels * transform.cropSize ** 2 * JSON_BYTES_PER_VALUE;
  });
  return Math.max(MIN_BODY_LIMIT, ...sizes);
}

function checkServerOptions(options: ServerOptions): void {
  checkOptions('createServer', options, OPTIONS);
  const { models, host, port, grpcPort, bodyLimit, bodyMemory, requestTimeoutMs, drainMs, token } = options;
  if (typeof models !== 'object' || models === null) throw invalid('models', 'models by name', models);
  if (host !== undefined && typeof host !== 'string') throw invalid('host', 'an address or a name', host);
  if (port !== undefined) checkInteger('port', port, 0, 65_535);
  if (grpcPort !== undefined) checkInteger('grpcPort', grpcPort, 0, 65_535);
  if (bodyLimit !== undefined) checkInteger('bodyLimit', bodyLimit, 1);
  if (bodyMemory !== undefined) checkInteger('bodyMemory', bodyMemory, 1);
  if (requestTimeoutMs !== undefined) checkInteger('requestTimeoutMs', requestTimeoutMs, 1);
  if (drainMs !== undefined) checkInteger('drainMs', drainMs, 0, MAX_TIMER_MS);
  if (token !== undefined && (typeof token !== 'string' || !/^[!-~]+$/.test(token))) {
    // Not what it is: messages go to logs.
    throw invalid('token', 'what a header can carry: ASCII without spaces', 'something else');
  }
}

async function readTls({ key, cert }: { key: string; cert: string }): Promise<{ key: Buffer; cert: Buffer }> {
  const read = (path: string) =>
    readFile(path).catch((error) => Promise.reject(fileError(path, 'read', error)));
  return { key: await read(key), cert: await read(cert) };
}
