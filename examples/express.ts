// An Express server of your own that classifies images:
//
//   node examples/express.ts        (Node 22.18 or newer; compile it with tsc for older ones)
//   curl --data-binary @digit.png -H 'content-type: image/png' http://127.0.0.1:3000/digit

import express, { type ErrorRequestHandler } from 'express';
import { Batcher, loadModel, ResNetError, Tensor, transforms } from 'resnet-native';

const model = await loadModel('models/digits-resnet20.safetensors');
const transform = transforms.classification(model.transform);
const session = await model.compile({ maxBatch: 32 });
const batcher = new Batcher(session);

const app = express();
app.post('/digit', express.raw({ type: 'image/*', limit: '10mb' }), async (request, response) => {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  if (!Buffer.isBuffer(request.body)) {
    response.status(415).json({ error: 'Expected an image, and its type as content-type' });
    return;
  }
  const image = await transform(request.body);
  const batch = Tensor.fromUint8(image.data, [1, ...image.shape]);
  const { logits } = await batcher.run(batch, { signal: gone.signal, deadlineMs: 1000 });
  const scores = [...(logits as Tensor).data];
  response.json({ digit: scores.indexOf(Math.max(...scores)) });
});

const STATUS: Record<string, number> = { QUEUE_FULL: 429, DEADLINE_EXCEEDED: 504, IMAGE_DECODE: 400 };
const answerErrors: ErrorRequestHandler = (error, _request, response, _next) => {
  const status = error instanceof ResNetError ? STATUS[error.code] : error.status;
  if (status === undefined) console.error(error);
  response.status(status ?? 500).json({ error: status ? error.message : 'The server failed' });
};
app.use(answerErrors);

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
process.once('SIGTERM', () => {
  server.close(async () => {
    await batcher.close();
    await session.close();
  });
});
