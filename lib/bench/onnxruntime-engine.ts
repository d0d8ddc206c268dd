import { createRequire } from 'node:module';
import { type LoadedNetwork, serveEngine } from './engine-loop.js';
import type { LoadRequest } from './protocol.js';
import { versionOf } from './versions.js';

// The process that holds onnxruntime-node while it is measured. It is no dependency: the parent found it, and its
// path is the argument. Of its types, this is what is used.

interface OnnxTensor {
  readonly data: Float32Array;
}

interface OnnxRuntime {
  readonly InferenceSession: {
    create(
      path: string,
      options: object,
    ): Promise<{ run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>> }>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => OnnxTensor;
}

const [, , modulePath = ''] = process.argv;
const require = createRequire(import.meta.url);
const { InferenceSession, Tensor } = require(modulePath) as OnnxRuntime;

async function load(request: LoadRequest, input: Float32Array): Promise<LoadedNetwork> {
  const session = await InferenceSession.create(request.onnx, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const batch = new Tensor('float32', input, request.shape);
  return { run: async () => (await session.run({ input: batch })).logits?.data as Float32Array };
}

await serveEngine({ version: versionOf(modulePath), load });
