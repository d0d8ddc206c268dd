import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { FastifyBaseLogger } from 'fastify';
import { bearerCheck, unauthorized } from '../http/auth.js';
import type { BodyBudget } from '../http/body-budget.js';
import { httpError } from '../http/errors.js';
import type { InFlight } from '../http/operations.js';
import { requestId } from '../http/request-id.js';
import type { Models } from '../models.js';
import { infer } from '../protocol/infer.js';
import { EXTENSIONS, modelConfig, modelMetadata, modelStats } from '../protocol/metadata.js';
import { refuseLoadParameters } from '../protocol/repository.js';
import { RequestError } from '../request-error.js';
import {
  type ChangeRequest,
  inferResponse,
  type ModelInferRequest,
  type NamedRequest,
  readInferRequest,
  tensorBytes,
} from './messages.js';
import { SCHEMA } from './schema.js';

export interface GrpcOptions {
  readonly models: Models;
  readonly inFlight: InFlight;
  readonly isOpen: () => boolean;
  readonly token: string | undefined;
  readonly repository: boolean;
  readonly serverVersion: string;
  /** Bytes of the largest message. */
  readonly limit: number;
  /** Of the tensors of all requests. */
  readonly budget: BodyBudget;
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | undefined;
  readonly onError: (code: string) => void;
  readonly log: FastifyBaseLogger;
}

/** What a handler may want to know of a call besides its message. */
interface Call {
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, unknown>>;
}

type Handler<Request> = (request: Request, call: Call) => object | Promise<object>;

const CODES: Readonly<Record<number, number>> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  429: status.RESOURCE_EXHAUSTED,
  499: status.CANCELLED,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

/** A gRPC server of the Open Inference Protocol; `bindAsync` and `tryShutdown` are the caller's. */
export function createGrpcServer(options: GrpcOptions): Server {
  const server = new Server({
    'grpc.max_receive_message_length': options.limit,
    'grpc.max_send_message_length': -1,
  });
  const definitions = fromJSON(SCHEMA as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    longs: Number,
    defaults: true,
    oneofs: true,
  });
  server.addService(definitions['inference.GRPCInferenceService'] as ServiceDefinition, handlers(options));
  return server;
}

export function grpcCredentials(tls: GrpcOptions['tls']): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.cert }]);
}

function handlers(options: GrpcOptions): UntypedServiceImplementation {
  const { models, isOpen, serverVersion } = options;
  const answer = <Request>(handler: Handler<Request>) => unary(options, handler, true);
  return {
    ServerLive: unary(options, () => ({ live: true }), false),
    ServerReady: unary(options, () => ({ ready: isOpen() && models.areReady }), false),
    ServerMetadata: answer(() => ({ name: 'resnet-native', version: serverVersion, extensions: EXTENSIONS })),
    ModelReady: answer(({ name, version }: NamedRequest) => ({ ready: models.isReady(name, version) })),
    ModelMetadata: answer(({ name, version }: NamedRequest) => modelMetadata(models.get(name, version))),
    ModelConfig: answer(({ name, version }: NamedRequest) => ({
      config: modelConfig(models.get(name, version)),
    })),
    ModelStatistics: answer(({ name, version }: NamedRequest) => ({
      model_stats: (name === '' ? models.list() : [models.get(name, version)]).map(modelStats),
    })),
    ModelInfer: answer((request: ModelInferRequest, { signal, headers }) => {
      const model = models.get(request.model_name, request.model_version);
      options.budget.hold(signal, tensorBytes(request));
      return model.use(headers, async (onRun) => {
        const outputs = await infer(model, readInferRequest(request), { signal, onRun });
        return inferResponse(model, request.id, outputs);
      });
    }),
    RepositoryIndex: answer(({ ready }: { ready: boolean }) => ({ models: models.index(ready) })),
    RepositoryModelLoad: answer(({ model_name, parameters }: ChangeRequest) =>
      change(options, () => {
        refuseLoadParameters(parameters);
        return models.load(model_name);
      }),
    ),
    RepositoryModelUnload: answer(({ model_name }: ChangeRequest) =>
      change(options, () => models.unload(model_name)),
    ),
  };
}

async function change({ repository }: GrpcOptions, apply: () => Promise<void>): Promise<object> {
  if (!repository)
    throw new RequestError(403, 'UNSUPPORTED', 'This server does not let clients load or unload models');
  await apply();
  return {};
}

/** @param guarded whether the call needs the token, and a server that is not draining. */
function unary<Request>(options: GrpcOptions, handler: Handler<Request>, guarded: boolean) {
  const { inFlight, isOpen, onError } = options;
  const isRight = options.token === undefined ? () => true : bearerCheck(options.token);
  return async (call: ServerUnaryCall<Request, object>, callback: sendUnaryData<object>): Promise<void> => {
    const headers = call.metadata.getMap();
    const reqId = requestId(headers['x-request-id']);
    const log = options.log.child({ reqId, grpc: call.getPath() });
    const start = performance.now();
    const ended = (code: number) =>
      log.info({ code, responseTime: performance.now() - start }, 'request completed');
    inFlight.add();
    const controller = new AbortController();
    call.on('cancelled', () => controller.abort(new Error('The client cancelled the call')));
    call.sendMetadata(idMetadata(reqId));
    try {
      if (guarded && !isOpen()) throw new RequestError(503, 'DRAINING', 'The server is shutting down');
      if (guarded && !isRight(headers.authorization?.toString())) throw unauthorized();
      const answer = await handler(call.request, { signal: controller.signal, headers });
      ended(status.OK);
      callback(null, answer);
    } catch (error) {
      const { status: httpStatus, error: details, code: reason } = httpError(error);
      if (httpStatus >= 500) log.error({ err: error }, details);
      onError(reason);
      const code = CODES[httpStatus] ?? status.INTERNAL;
      ended(code);
      callback({ code, details });
    } finally {
      options.budget.release(controller.signal);
      inFlight.remove();
    }
  };
}

function idMetadata(id: string): Metadata {
  const metadata = new Metadata();
  metadata.set('x-request-id', id);
  return metadata;
}
