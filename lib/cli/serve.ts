import { type Command, InvalidArgumentError, Option } from 'commander';
import { throwIfAborted } from '../errors.js';
import type { Autotune, ComputeDType } from '../runtime/compile.js';
import { createServer } from '../server/create-server.js';
import type { ServedModelOptions } from '../server/served-model.js';
import type { InferenceServer, ServerOptions } from '../server/server.js';
import { chooseModel, SHIPPED_MODEL } from './choose-model.js';
import { AUTOTUNE_HELP } from './model-options.js';
import { integer, wrongUsage } from './usage.js';

const EXAMPLES = `
Examples:
  resnet-native serve                                      the model of digits that the package ships
  resnet-native serve --model resnet50=resnet50:IMAGENET1K_V2 --port 8000
  resnet-native serve --model a=resnet18:a.pth --model b=b.safetensors --device a=cpu --device b=cuda:0,cuda:1
  resnet-native serve --host 0.0.0.0 --tls-key key.pem --tls-cert cert.pem --log

With RESNET_NATIVE_TOKEN in the environment, requests need the header "Authorization: Bearer TOKEN".
SIGTERM answers what was accepted and ends; a second one ends at once. Ctrl-C gives it a second.`;

const TERMINATED = 143;

interface ServeOptions {
  readonly model: readonly string[];
  readonly outputs: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly grpc: boolean;
  /** By the name of the model; those of all others under ''. */
  readonly device: ReadonlyMap<string, readonly string[]>;
  readonly dtype: string;
  readonly threads?: number;
  readonly autotune?: string;
  readonly maxBatch: number;
  readonly maxQueue: number;
  readonly maxDelay: number;
  readonly bodyLimit?: number;
  readonly bodyMemory?: number;
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
    .addOption(
      new Option('--model <name=what>', 'NAME=ARCH:WEIGHTS or NAME=FILE; any number of times')
        .argParser(collect)
        .default([], 'the shipped model, as digits'),
    )
    .addOption(
      new Option('--outputs <names>', 'what can be asked for; avgpool for embeddings')
        .argParser(names)
        .default(['logits', 'avgpool'], 'logits,avgpool'),
    )
    .option('--host <address>', 'where to listen; 0.0.0.0 is everywhere', '127.0.0.1')
    .option('--port <n>', '0 takes any that is free', integer('--port', 0), 8000)
    .option('--grpc-port <n>', 'for gRPC; 0 takes any that is free', integer('--grpc-port', 0), 8001)
    .option('--no-grpc', 'HTTP only')
    .addOption(
      new Option(
        '--device <devices>',
        'auto, cpu, cuda, cuda:1, …; several, with commas: all models on each; NAME=…: of that model only',
      )
        .argParser(collectDevices)
        .default(new Map([['', ['auto']]]), 'auto'),
    )
    .option('--dtype <dtype>', 'float32, tf32, float16, bfloat16 or int8', 'float32')
    .option('--threads <n>', 'of the CPU (default: all there are)', integer('--threads', 1))
    .option('--autotune <mode>', AUTOTUNE_HELP)
    .option('--max-batch <n>', 'images that run together', integer('--max-batch', 1), 32)
    .option('--max-queue <n>', 'requests that may wait; more are refused', integer('--max-queue', 1), 256)
    .option('--max-delay <ms>', 'how long to wait for batches to fill', integer('--max-delay', 0), 0)
    .option(
      '--body-limit <bytes>',
      'the largest request (default: a full batch as JSON, at least 16 MiB)',
      integer('--body-limit', 1),
    )
    .option(
      '--body-memory <bytes>',
      'of all requests together; more are refused (default: a quarter of the memory)',
      integer('--body-memory', 1),
    )
    .option('--repository', 'let clients load and unload models')
    .option('--tls-key <file>', 'private key (PEM), for HTTPS')
    .option('--tls-cert <file>', 'certificate (PEM), for HTTPS')
    .option('--log', 'write requests as JSON lines to standard error')
    .addHelpText('after', EXAMPLES)
    .action((options: ServeOptions) => serve(options, signal));
}

async function serve(options: ServeOptions, signal: AbortSignal): Promise<void> {
  let isServing = false;
  // As process 1 of a container it would not even end while models are loaded: there SIGTERM does nothing by itself.
  const stopped = untilStopped(signal, () => isServing);
  const server = await createServer(serverOptions(options));
  isServing = true;
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

function describe({ name, sessions, session }: ReturnType<InferenceServer['models']['get']>): string {
  return `${name} (${sessions.map(({ device }) => device).join(', ')}, ${session.dtype})`;
}

function serverOptions(options: ServeOptions): ServerOptions {
  const { host, port, outputs, dtype, threads, maxBatch, maxQueue, maxDelay: maxDelayMs } = options;
  const autotune = options.autotune as Autotune | undefined;
  const { tlsKey, tlsCert, bodyLimit, bodyMemory, grpc, repository = false, log = false } = options;
  if ((tlsKey === undefined) !== (tlsCert === undefined)) {
    throw wrongUsage('--tls-key and --tls-cert go together');
  }
  const models = (options.model.length > 0 ? options.model : [`digits=${SHIPPED_MODEL}`]).map(modelEntry);
  const twice = models.find(([name], i) => models.findIndex(([it]) => it === name) < i);
  if (twice) throw wrongUsage(`--model has two of the name ${twice[0]}`);
  const unknown = [...options.device.keys()].find((name) => name && !models.some(([it]) => it === name));
  if (unknown !== undefined) throw wrongUsage(`--device names ${unknown}, which is no model of --model`);
  const device = options.device.get('');
  return {
    models: Object.fromEntries(
      models.map(([name, model]) => [name, { model, device: options.device.get(name) ?? device }]),
    ),
    defaults: { outputs, dtype: dtype as ComputeDType, threads, autotune, maxBatch, maxQueue, maxDelayMs },
    host,
    port,
    grpcPort: grpc ? options.grpcPort : undefined,
    bodyLimit,
    bodyMemory,
    repository,
    token: process.env.RESNET_NATIVE_TOKEN || undefined,
    tls: tlsKey !== undefined && tlsCert !== undefined ? { key: tlsKey, cert: tlsCert } : undefined,
    logger: log && { stream: process.stderr },
  };
}

/** `NAME=ARCH:WEIGHTS` or `NAME=FILE`. Files are read when the model is loaded, so that it can be loaded again. */
function modelEntry(text: string): [name: string, model: ServedModelOptions['model']] {
  const [, name, arch, what] = /^([^=]+)=(?:([a-z]\w+):(?!\/\/|\\))?(.+)$/.exec(text) ?? [];
  if (name === undefined || what === undefined) {
    throw wrongUsage(`Expected NAME=ARCH:WEIGHTS or NAME=FILE for --model but received ${text}`);
  }
  if (arch === undefined) return [name, what];
  return [name, () => chooseModel({ arch, weights: what, device: 'auto', dtype: 'float32' })];
}

/** Until SIGTERM or the first Ctrl-C. Whoever sends SIGTERM twice, or before anything is served, wants the end now. */
function untilStopped(signal: AbortSignal, isServing: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    let terminated = false;
    process.on('SIGTERM', () => {
      if (terminated || !isServing()) process.exit(TERMINATED);
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

/** `DEVICE,…` or `NAME=DEVICE,…` */
function collectDevices(value: string, before: ReadonlyMap<string, readonly string[]>) {
  const [, name = '', list] = /^(?:([^=]+)=)?(.+)$/.exec(value) ?? [];
  if (list === undefined) throw new InvalidArgumentError('Expected DEVICE or NAME=DEVICE.');
  return new Map([...before, [name, names(list)]]);
}

function names(list: string): string[] {
  return list.split(',').filter((name) => name !== '');
}
