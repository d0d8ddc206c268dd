// A Fastify server of your own that classifies images, with a Batcher in the process:
//
//   node examples/embed-in-fastify.ts        (Node 22.18 or newer; compile it with tsc for older ones)
//   curl --data-binary @digit.png -H 'content-type: image/png' http://127.0.0.1:3000/digit

import Fastify, { type FastifyError } from 'fastify';
import { Batcher, loadModel, ResNetError, Tensor, transforms } from 'resnet-native';

const model = await loadModel('models/digits-resnet20.safetensors');
const transform = transforms.classification(model.transform);
const session = await model.compile({ maxBatch: 32 });
const batcher = new Batcher(session, { maxQueue: 256 });

// Photographs have more than Fastify's 1 MiB.
const app = Fastify({ logger: true, bodyLimit: 2 ** 24 });
app.addContentTypeParser(/^image\//, { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

app.post('/digit', async (request, reply) => {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const image = await transform(request.body as Buffer);
  const batch = Tensor.fromUint8(image.data, [1, ...image.shape]);
  const { logits } = await batcher.run(batch, { signal: gone.signal, deadlineMs: 1000 });
  const scores = [...(logits as Tensor).data];
  return { digit: scores.indexOf(Math.max(...scores)) };
});

const STATUS: Record<string, number> = { QUEUE_FULL: 429, DEADLINE_EXCEEDED: 504, IMAGE_DECODE: 400 };
app.setErrorHandler((error: FastifyError, request, reply) => {
  const status = error instanceof ResNetError ? STATUS[error.code] : error.statusCode;
  if (status === undefined) request.log.error(error);
  return reply.code(status ?? 500).send({ error: status ? error.message : 'The server failed' });
});

app.addHook('onClose', async () => {
  await batcher.close();
  await session.close();
});
process.once('SIGTERM', () => void app.close());
await app.listen({ port: Number(process.env.PORT ?? 3000) });
