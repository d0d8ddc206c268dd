import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { badRequest, RequestError } from '../request-error.js';

/** An image as a client sent it. */
export interface Upload {
  /** As the client calls it; null for a body without a name. */
  readonly file: string | null;
  readonly bytes: Uint8Array;
}

/**
 * The images of a request: the files of a form (multipart/form-data), or the body itself.
 * @param limit of all bytes together.
 * @throws RequestError 400, 413.
 */
export async function readUploads(request: FastifyRequest, limit: number): Promise<Upload[]> {
  const uploads = request.isMultipart()
    ? await readForm(request, limit).catch(refuseForm)
    : readBody(request.body);
  if (uploads.length === 0) throw badRequest('Expected an image, as the body or as files of a form');
  return uploads;
}

function readBody(body: unknown): Upload[] {
  return Buffer.isBuffer(body) && body.length > 0 ? [{ file: null, bytes: body }] : [];
}

async function readForm(request: FastifyRequest, limit: number): Promise<Upload[]> {
  const uploads: Upload[] = [];
  let left = limit;
  // The parser cuts longer files off without a word: one byte more is what tells.
  for await (const part of request.parts({ limits: { fileSize: limit + 1 } })) {
    if (part.type !== 'file') continue;
    const bytes = await readFile(part, left, limit);
    left -= bytes.length;
    uploads.push({ file: part.filename, bytes });
  }
  return uploads;
}

async function readFile({ file }: MultipartFile, left: number, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of file as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > left)
      throw new RequestError(413, 'TOO_LARGE', `The files have more than ${limit} bytes in all`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/** The parser's own errors about forms that are cut off or malformed say nothing of a status. */
function refuseForm(error: Error): never {
  if ('statusCode' in error) throw error;
  throw badRequest(`The form cannot be read: ${error.message}`);
}
