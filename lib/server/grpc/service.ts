import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { bearerCheck, unauthorized } from '../http/auth.js';
import { httpError } from '../http/errors.js';
import type { InFlight } from '../http/operations.js';
import type { Models } from '../models.js';
import { infer } from '../protocol/infer.js';
import { EXTENSIONS, modelMetadata } from '../protocol/metadata.js';
import { RequestError } from '../request-error.js';
import { inferResponse, type ModelInferRequest, type NamedRequest, readInferRequest } from './messages.js';
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
  readonly tls: { readonly key: Buffer; readonly cert: Buffer } | undefined;
  readonly onError: (code: string) => void;
}

type Handler<Request> = (request: Request, signal: AbortSignal) => object | Promise<object>;

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
    ServerReady: unary(options, () => ({ ready: isOpen() }), false),
    ServerMetadata: answer(() => ({ name: 'resnet-native', version: serverVersion, extensions: EXTENSIONS })),
    ModelReady: answer(({ name, version }: NamedRequest) => ({
      ready: models.get(name, version) !== undefined,
    })),
    ModelMetadata: answer(({ name, version }: NamedRequest) => modelMetadata(models.get(name, version))),
    ModelInfer: answer((request: ModelInferRequest, signal) => {
      const model = models.get(request.model_name, request.model_version);
      return model.use(async () =>
        inferResponse(model, request.id, await infer(model, readInferRequest(request), signal)),
      );
    }),
    RepositoryIndex: answer(() => ({ models: models.index() })),
    RepositoryModelLoad: answer((request: { model_name: string }) =>
      change(options, () => models.load(request.model_name)),
    ),
    RepositoryModelUnload: answer((request: { model_name: string }) =>
      change(options, () => models.unload(request.model_name)),
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
    inFlight.add();
    const controller = new AbortController();
    call.on('cancelled', () => controller.abort(new Error('The client cancelled the call')));
    try {
      if (guarded && !isOpen()) throw new RequestError(503, 'DRAINING', 'The server is shutting down');
      if (guarded && !isRight(authorization(call.metadata))) throw unauthorized();
      callback(null, await handler(call.request, controller.signal));
    } catch (error) {
      const { status: httpStatus, error: details, code } = httpError(error);
      onError(code);
      callback({ code: CODES[httpStatus] ?? status.INTERNAL, details });
    } finally {
      inFlight.remove();
    }
  };
}

function authorization(metadata: Metadata): string | undefined {
  return metadata.get('authorization')[0]?.toString();
}
