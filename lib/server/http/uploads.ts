import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { AbortError, ResNetError } from '../../errors.js';
import { badRequest, RequestError } from '../request-error.js';
import { skipBody } from './body.js';
import type { BodyBudget } from './body-budget.js';

/** An image as a client sent it. */
export interface Upload {
  /** As the client calls it; null for a body without a name. */
  readonly file: string | null;
  readonly bytes: Uint8Array;
}

/**
 * The images of a request: the files of a form (multipart/form-data), or the body itself.
 * @param budget counts the bytes of forms; those of bodies are counted already.
 * @throws RequestError 400, 413, 415; ResNetError `QUEUE_FULL`; AbortError.
 */
export async function readUploads(request: FastifyRequest, budget: BodyBudget): Promise<Upload[]> {
  const isForm = request.isMultipart();
  if (isForm && (request.headers['content-encoding'] ?? 'identity') !== 'identity') {
    // The parser of forms reads what comes from the network.
    skipBody(request.raw);
    throw new RequestError(
      415,
      'UNSUPPORTED',
      'Forms cannot be compressed: send it as it is, or one image as the body',
    );
  }
  const uploads = isForm
    ? await readForm(request, budget).catch((error) => refuseForm(request, error))
    : readBody(request.body);
  if (uploads.length === 0) throw badRequest('Expected an image, as the body or as files of a form');
  return uploads;
}

function readBody(body: unknown): Upload[] {
  return Buffer.isBuffer(body) && body.length > 0 ? [{ file: null, bytes: body }] : [];
}

async function readForm(request: FastifyRequest, budget: BodyBudget): Promise<Upload[]> {
  const limit = request.routeOptions.bodyLimit as number;
  const uploads: Upload[] = [];
  let left = limit;
  const take = ({ length }: Buffer) => {
    left -= length;
    if (left < 0) throw new RequestError(413, 'TOO_LARGE', `The files have more than ${limit} bytes in all`);
    budget.hold(request, length);
  };
  // The parser cuts longer files off without a word: one byte more is what tells.
  for await (const part of request.parts({ limits: { fileSize: limit + 1 } })) {
    if (part.type !== 'file') continue;
    uploads.push({ file: part.filename, bytes: await readFile(part, take) });
  }
  return uploads;
}

async function readFile({ file }: MultipartFile, take: (chunk: Buffer) => void): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of file as AsyncIterable<Buffer>) {
    take(chunk);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The parser's own errors about forms that are cut off or malformed say nothing of a status. */
function refuseForm({ raw }: FastifyRequest, error: Error): never {
  if (raw.destroyed && !raw.complete) throw new AbortError(error);
  skipBody(raw);
  if ('statusCode' in error || error instanceof ResNetError) throw error;
  throw badRequest(`The form cannot be read: ${error.message}`);
}
