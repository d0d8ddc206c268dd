// A Fastify server of your own that classifies images, with a Batcher in the process:
//
//   node examples/embed-in-fastify.ts        (Node 22.18 or newer; compile it with tsc for older ones)
//   curl --data-binary @digit.png -H 'content-type: image/png' http://127.0.0.1:3000/digit

import Fastify from 'fastify';
import { Batcher, loadModel, ResNetError, Tensor, transforms } from 'resnet-native';

const model = await loadModel('models/digits-resnet20.safetensors');
const transform = transforms.classification(model.transform);
const session = await model.compile({ maxBatch: 32 });
const batcher = new Batcher(session, { maxQueue: 256 });

const app = Fastify({ logger: true });
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

app.setErrorHandler((error: Error, _request, reply) => {
  const code = error instanceof ResNetError ? error.code : 'INTERNAL';
  const status = { QUEUE_FULL: 429, DEADLINE_EXCEEDED: 504, IMAGE_DECODE: 400 }[code as string] ?? 500;
  return reply.code(status).send({ error: error.message, code });
});

app.addHook('onClose', async () => {
  await batcher.close();
  await session.close();
});
process.once('SIGTERM', () => void app.close());
await app.listen({ port: Number(process.env.PORT ?? 3000) });
