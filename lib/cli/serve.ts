import { type Command, InvalidArgumentError } from 'commander';
import { throwIfAborted } from '../errors.js';
import type { ComputeDType } from '../runtime/compile.js';
import type { ServedModelOptions } from '../server/served-model.js';
import { createServer, type InferenceServer, type ServerOptions } from '../server/server.js';
import { chooseModel, SHIPPED_MODEL } from './choose-model.js';
import { integer, wrongUsage } from './usage.js';

const EXAMPLES = `
Examples:
  resnet-native serve                                      the model of digits that the package ships
  resnet-native serve --model resnet50=resnet50:IMAGENET1K_V2 --port 8000
  resnet-native serve --model a=resnet18:a.pth --model b=b.safetensors --outputs logits,avgpool
  resnet-native serve --host 0.0.0.0 --tls-key key.pem --tls-cert cert.pem --log

With RESNET_NATIVE_TOKEN in the environment, requests need the header "Authorization: Bearer TOKEN".
SIGTERM answers what was accepted and ends; a second one ends at once. Ctrl-C gives it a second.`;

interface ServeOptions {
  readonly model: readonly string[];
  readonly outputs: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly grpcPort?: number;
  readonly device: string;
  readonly dtype: string;
  readonly threads?: number;
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly maxDelay: number;
  readonly bodyLimit?: number;
  readonly repository?: true;
  readonly tlsKey?: string;
  readonly tlsCert?: string;
  readonly log?: true;
}

/** `serve`: models over HTTP. */
export function addServe(program: Command, signal: AbortSignal): void {
  program
    .command('serve')
    .description('serve models over HTTP, with batching, metrics and a web page')
    .option('--model <name=what>', 'NAME=ARCH:WEIGHTS or NAME=FILE; any number of times', collect, [])
    .option('--outputs <names>', 'what can be asked for; avgpool for embeddings', names, [
      'logits',
      'avgpool',
    ])
    .option('--host <address>', 'where to listen; 0.0.0.0 is everywhere', '127.0.0.1')
    .option('--port <n>', '0 takes any that is free', integer('--port', 0), 8000)
    .option('--grpc-port <n>', 'for gRPC too, say 8001 (default: no gRPC)', integer('--grpc-port', 0))
    .option('--device <device>', 'auto, cpu, cuda, cuda:1, … or reference', 'auto')
    .option('--dtype <dtype>', 'float32, tf32, float16, bfloat16 or int8', 'float32')
    .option('--threads <n>', 'of the CPU (default: all there are)', integer('--threads', 1))
    .option('--max-batch <n>', 'images that run together', integer('--max-batch', 1), 32)
    .option('--max-queue <n>', 'requests that may wait; more are refused', integer('--max-queue', 1), 256)
    .option('--max-delay <ms>', 'how long to wait for batches to fill', integer('--max-delay', 0), 0)
    .option('--body-limit <bytes>', 'the largest request', integer('--body-limit', 1))
    .option('--repository', 'let clients load and unload models')
    .option('--tls-key <file>', 'private key (PEM), for HTTPS')
    .option('--tls-cert <file>', 'certificate (PEM), for HTTPS')
    .option('--log', 'write requests as JSON lines to standard error')
    .addHelpText('after', EXAMPLES)
    .action((options: ServeOptions) => serve(options, signal));
}

async function serve(options: ServeOptions, signal: AbortSignal): Promise<void> {
  const server = await createServer(await serverOptions(options));
  const stopped = untilStopped(signal);
  try {
    console.log(`Serving ${server.models.list().map(describe).join(', ')}`);
    console.log(`Listening on ${await server.listen()}`);
    if (server.grpcPort !== undefined) console.log(`gRPC on ${options.host}:${server.grpcPort}`);
    await stopped;
    console.error('Answering what was accepted, then ending');
  } finally {
    await server.close();
  }
  throwIfAborted(signal);
}

function describe({ name, session }: ReturnType<InferenceServer['models']['get']>): string {
  return `${name} (${session.device}, ${session.dtype})`;
}

async function serverOptions(options: ServeOptions): Promise<ServerOptions> {
  const { host, port, outputs, device, dtype, threads, maxBatch, maxQueue, maxDelay: maxDelayMs } = options;
  const { tlsKey, tlsCert, bodyLimit, grpcPort, repository = false, log = false } = options;
  if ((tlsKey === undefined) !== (tlsCert === undefined)) {
    throw wrongUsage('--tls-key and --tls-cert go together');
  }
  const models = options.model.length > 0 ? options.model : [`digits=${SHIPPED_MODEL}`];
  return {
    models: Object.fromEntries(await Promise.all(models.map(modelEntry))),
    defaults: { outputs, device, dtype: dtype as ComputeDType, threads, maxBatch, maxQueue, maxDelayMs },
    host,
    port,
    grpcPort,
    bodyLimit,
    repository,
    token: process.env.RESNET_NATIVE_TOKEN || undefined,
    tls: tlsKey !== undefined && tlsCert !== undefined ? { key: tlsKey, cert: tlsCert } : undefined,
    logger: log && { stream: process.stderr },
  };
}

/** `NAME=ARCH:WEIGHTS` or `NAME=FILE`. A file is served by its path, so that it can be loaded again. */
async function modelEntry(text: string): Promise<[string, ServedModelOptions]> {
  const [, name, arch, what] = /^([^=]+)=(?:([a-z]\w+):(?!\/\/|\\))?(.+)$/.exec(text) ?? [];
  if (name === undefined || what === undefined) {
    throw wrongUsage(`Expected NAME=ARCH:WEIGHTS or NAME=FILE for --model but received ${text}`);
  }
  if (arch === undefined) return [name, { model: what }];
  return [name, { model: await chooseModel({ arch, weights: what, device: 'auto', dtype: 'float32' }) }];
}

/** Until SIGTERM or the first Ctrl-C. Whoever sends SIGTERM twice wants the end now. */
function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let terminated = false;
    process.on('SIGTERM', () => {
      if (terminated) process.exit(143);
      terminated = true;
      resolve();
    });
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function collect(value: string, before: readonly string[]): string[] {
  if (!value.includes('=')) throw new InvalidArgumentError('Expected NAME=ARCH:WEIGHTS or NAME=FILE.');
  return [...before, value];
}

function names(list: string): string[] {
  return list.split(',').filter((name) => name !== '');
}
