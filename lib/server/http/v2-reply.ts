import type { FastifyReply } from 'fastify';
import { bytesOf } from '../protocol/bytes.js';
import type { OutputTensor } from '../protocol/infer.js';
import type { ServedModel } from '../served-model.js';
import type { ReplyForm } from './v2-body.js';

/** The protocol's answer: JSON, and behind it the bytes of the outputs that were asked for as such. */
export function sendOutputs(
  reply: FastifyReply,
  model: ServedModel,
  { id, binaryOutputs }: ReplyForm,
  outputs: readonly OutputTensor[],
): FastifyReply {
  const binary: Buffer[] = [];
  const tensors = outputs.map((output) => {
    const { name, datatype, shape } = output;
    if (!binaryOutputs(name)) return { name, datatype, shape, data: Array.from<unknown>(output.data) };
    const bytes = bytesOf(output);
    binary.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.length } };
  });
  const json = JSON.stringify({
    model_name: model.name,
    model_version: model.version,
    ...(id !== undefined && { id }),
    outputs: tensors,
  });
  if (binary.length === 0) return reply.type('application/json').send(json);
  const head = Buffer.from(json);
  reply.header('inference-header-content-length', head.length).type('application/octet-stream');
  return reply.send(Buffer.concat([head, ...binary]));
}
