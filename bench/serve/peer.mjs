import { createRequire } from 'node:module';
import Fastify from 'fastify';

/**
 * The server that one would write with Fastify and onnxruntime-node for the same requests: the body's floats go to
 * `session.run` as they are, and the logits back as bytes. Gives its port.
 */
export async function startPeer({ modulePath, onnx, threads, bodyLimit }) {
  const { InferenceSession, Tensor } = createRequire(import.meta.url)(modulePath);
  const session = await InferenceSession.create(onnx, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const app = Fastify({ bodyLimit });
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  app.post('/v2/models/:model/infer', async ({ body, headers, params }, reply) => {
    const headLength = Number(headers['inference-header-content-length']);
    const { shape } = JSON.parse(body.toString('utf8', 0, headLength)).inputs[0];
    // Copied, because floats have to be aligned.
    const data = new Float32Array(new Uint8Array(body.subarray(headLength)).buffer);
    const { logits } = await session.run({ input: new Tensor('float32', data, shape) });
    const bytes = Buffer.from(logits.data.buffer, logits.data.byteOffset, logits.data.byteLength);
    const parameters = { binary_data_size: bytes.length };
    const output = { name: 'logits', datatype: 'FP32', shape: logits.dims, parameters };
    const head = Buffer.from(JSON.stringify({ model_name: params.model, outputs: [output] }));
    reply.header('inference-header-content-length', head.length).type('application/octet-stream');
    return reply.send(Buffer.concat([head, bytes]));
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return app.server.address().port;
}
