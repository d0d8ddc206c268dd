import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Models } from '../models.js';
import { type InferOptions, infer } from '../protocol/infer.js';
import { EXTENSIONS, modelConfig, modelMetadata, modelStats } from '../protocol/metadata.js';
import { refuseLoadParameters } from '../protocol/repository.js';
import { badRequest, RequestError } from '../request-error.js';
import type { ServedModel } from '../served-model.js';
import { type BodyReader, headerLength, refuseWhenFull } from './body.js';
import { clientGone } from './client-gone.js';
import { parseInferBody, readIndexBody, readLoadBody } from './v2-body.js';
import { sendOutputs } from './v2-reply.js';

export interface V2Options {
  readonly models: Models;
  readonly bodies: BodyReader;
  readonly serverVersion: string;
  /** Whether clients may load and unload models. */
  readonly repository: boolean;
}

type NamedRequest = FastifyRequest<{ Params: { model: string; version?: string } }>;

/** The Open Inference Protocol, version 2. */
export async function v2Routes(app: FastifyInstance, options: V2Options): Promise<void> {
  const { models, bodies, serverVersion } = options;
  // Bodies are taken as they are: clients send JSON with bytes behind it, under any content type or none.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage, done) =>
    bodies.read(request, payload, done),
  );

  app.get('/v2', () => ({ name: 'resnet-native', version: serverVersion, extensions: EXTENSIONS }));
  app.get('/v2/models/stats', () => ({ model_stats: models.list().map(modelStats) }));
  const named = ({ params }: NamedRequest) => models.get(params.model, params.version);
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get(path, (request: NamedRequest) => modelMetadata(named(request)));
    app.get(`${path}/config`, (request: NamedRequest) => modelConfig(named(request)));
    app.get(`${path}/stats`, (request: NamedRequest) => ({ model_stats: [modelStats(named(request))] }));
    app.get(`${path}/ready`, (request: NamedRequest, reply) => {
      const { name, isReady } = named(request);
      return reply.code(isReady ? 200 : 503).send({ name, ready: isReady });
    });
    const onRequest = refuseWhenFull((request) => named(request as NamedRequest));
    app.post(`${path}/infer`, { onRequest }, (request: NamedRequest, reply) => {
      const model = named(request);
      return model.use(request.headers, async (onRun) => {
        const { form, running } = startInfer(request, model, { signal: clientGone(reply), onRun });
        const outputs = await running;
        // Not of a request that was given up: its run may still read it.
        bodies.reuse(request);
        return sendOutputs(reply, model, form, outputs);
      });
    });
  }
  repositoryRoutes(app, options);
  app.all('/v2/systemsharedmemory/*', refuseSharedMemory);
  app.all('/v2/cudasharedmemory/*', refuseSharedMemory);
}

/** A function of its own, so that nothing of what was parsed lives while the request waits, but what it returns. */
function startInfer(request: FastifyRequest, model: ServedModel, options: InferOptions) {
  if (!Buffer.isBuffer(request.body)) throw badRequest('Expected a body with the inputs');
  const { asked, form } = parseInferBody(request.body, headerLength(request));
  return { form, running: infer(model, asked, options) };
}

function repositoryRoutes(app: FastifyInstance, { models, repository }: V2Options): void {
  app.post('/v2/repository/index', ({ body }) => models.index(readIndexBody(body)));
  const changes = {
    load: (name: string, body: unknown) => {
      refuseLoadParameters(readLoadBody(body));
      return models.load(name);
    },
    // With Triton a client may say whether the models that others are made of go too: here there are none.
    unload: (name: string) => models.unload(name),
  };
  for (const [change, apply] of Object.entries(changes)) {
    app.post(`/v2/repository/models/:model/${change}`, async ({ params, body }: NamedRequest) => {
      if (!repository) {
        throw new RequestError(403, 'UNSUPPORTED', `This server does not let clients ${change} models`);
      }
      await apply(params.model, body);
      return {};
    });
  }
}

function refuseSharedMemory(): never {
  throw badRequest('Shared memory is not supported: send tensors in the body, as binary data or JSON');
}
