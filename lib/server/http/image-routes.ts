import type { IncomingMessage } from 'node:http';
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { show } from '../../is.js';
import type { ImageOutcome } from '../../tasks/image-path.js';
import { predictionsOf } from '../../tasks/predictions.js';
import type { Tensor } from '../../tensor.js';
import { runImages } from '../image-batch.js';
import type { Models } from '../models.js';
import { badRequest } from '../request-error.js';
import type { ServedModel } from '../served-model.js';
import { type BodyReader, refuseWhenFull } from './body.js';
import { clientGone } from './client-gone.js';
import { CLASSIFY_QUERY, EMBED_QUERY } from './openapi.js';
import { readUploads, type Upload } from './uploads.js';

export interface ImageOptions {
  readonly models: Models;
  readonly bodies: BodyReader;
}

interface ClassifyQuery {
  readonly model?: string;
  readonly top: number;
}

interface EmbedQuery {
  readonly model?: string;
  readonly output?: string;
}

type Rows = Extract<ImageOutcome, { rows: unknown }>['rows'];

const MAX_FILES = 1024;

/** `POST /v1/classify` and `/v1/embed`: image files in, JSON out. And `GET /v1/models`. */
export async function imageRoutes(app: FastifyInstance, { models, bodies }: ImageOptions): Promise<void> {
  app.removeAllContentTypeParsers();
  await app.register(multipart, { limits: { files: MAX_FILES, fields: 16, parts: MAX_FILES + 16 } });
  app.addContentTypeParser('*', (request: FastifyRequest, payload: IncomingMessage, done) =>
    bodies.read(request, payload, done),
  );
  const onRequest = refuseWhenFull(({ query }) => models.choose((query as ClassifyQuery).model));

  app.get('/v1/models', () => ({ models: models.list().map(describe) }));

  app.post<{ Querystring: ClassifyQuery }>(
    '/v1/classify',
    { onRequest, schema: { querystring: CLASSIFY_QUERY } },
    (request, reply) => {
      const model = models.choose(request.query.model);
      if (!model.session.outputs.includes('logits')) throw badRequest(`${model.name} has no output "logits"`);
      const { top } = request.query;
      const classify = ({ logits }: Rows) => ({
        results: predictionsOf((logits as Tensor<Float32Array>).data, model.labels, top),
      });
      return answer(request, reply, model, bodies, classify);
    },
  );

  app.post<{ Querystring: EmbedQuery }>(
    '/v1/embed',
    { onRequest, schema: { querystring: EMBED_QUERY } },
    (request, reply) => {
      const model = models.choose(request.query.model);
      const output = embeddingOf(model, request.query.output);
      const embed = (rows: Rows) => {
        const { data, shape } = rows[output] as Tensor<Float32Array>;
        // What is one value a channel is a vector; maps keep their shape.
        const pooled = shape.slice(1).every((size) => size === 1);
        return { output, shape: pooled ? shape.slice(0, 1) : shape, embedding: Array.from(data) };
      };
      return answer(request, reply, model, bodies, embed);
    },
  );
}

function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  model: ServedModel,
  { budget }: BodyReader,
  resultOf: (rows: Rows) => object,
): Promise<object> {
  return model.use(request.headers, async (onRun) => {
    const signal = clientGone(reply);
    const uploads = await readUploads(request, budget);
    const outcomes = await runImages(
      model,
      uploads.map(({ bytes }) => bytes),
      { signal, onRun },
    );
    const [only] = outcomes;
    if (outcomes.length === 1 && only && 'error' in only) throw only.error;
    const results = outcomes.map((outcome, i) => {
      const { file } = uploads[i] as Upload;
      if ('rows' in outcome) return { file, ...resultOf(outcome.rows) };
      return { file, error: { code: outcome.error.code, message: outcome.error.message } };
    });
    return { model: model.name, version: model.version, images: results };
  });
}

function embeddingOf({ name, session }: ServedModel, asked: string | undefined): string {
  const features = session.outputs.filter((output) => output !== 'logits');
  const output = asked ?? features[0];
  if (output !== undefined && session.outputs.includes(output)) return output;
  if (asked === undefined)
    throw badRequest(`${name} is served without features: serve it with the output "avgpool"`);
  throw badRequest(`There is no output ${show(asked)}; ${name} gives ${session.outputs.join(', ')}`);
}

/** What a person, or the page, wants to know of a model. */
function describe(model: ServedModel) {
  const { name, version, labels, session, transform, batcher } = model;
  const { deviceReason, dtype, outputs } = session;
  const device = model.sessions.map((it) => it.device).join(', ');
  const { resizeSize, cropSize } = transform;
  const { maxBatch } = batcher;
  return {
    name,
    version,
    device,
    deviceReason,
    dtype,
    maxBatch,
    outputs,
    resizeSize,
    cropSize,
    labels: labels ?? null,
  };
}
