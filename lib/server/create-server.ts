import type { InferenceServer, ServerOptions } from './server.js';

/**
 * Loads models and makes an HTTP server of them: the Open Inference Protocol, image endpoints, metrics and a web page.
 *
 * ```ts
 * const server = await createServer({ models: { resnet50: 'resnet50.safetensors' }, port: 8000 });
 * console.log(await server.listen());
 * ```
 * @throws ResNetError `INVALID_ARGUMENT`, `FILE` for TLS files, and what loading and compiling throw.
 */
export async function createServer(options: ServerOptions): Promise<InferenceServer> {
  // HTTP, gRPC and metrics take more memory than a small network: those who serve nothing never load them.
  const { openServer } = await import('./server.js');
  return openServer(options);
}
