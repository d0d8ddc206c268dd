import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  type Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCHEMA } from '../../lib/server/grpc/schema.js';
import { expected, normalized, pixels, tinyNetwork } from '../runtime/tiny-network.js';
import { type Started, start } from './start.js';

const OPTIONS = { keepCase: true, longs: Number, defaults: true, oneofs: true };
const definitions = fromJSON(SCHEMA as Parameters<typeof fromJSON>[0], OPTIONS);
const { inference } = loadPackageDefinition(definitions) as never as {
  inference: { GRPCInferenceService: ServiceClientConstructor };
};

type Call = (
  request: object,
  metadata: Metadata,
  done: (error: Error | null, answer?: unknown) => void,
) => void;
const clients: Client[] = [];

function connect({ server }: Started) {
  const client = new inference.GRPCInferenceService(
    `127.0.0.1:${server.grpcPort}`,
    credentials.createInsecure(),
  );
  clients.push(client);
  return (method: string, request: object = {}, headers: Record<string, string> = {}): Promise<unknown> => {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const call = (client as unknown as Record<string, Call>)[method] as Call;
    return promisify(call.bind(client))(request, metadata);
  };
}

let call: ReturnType<typeof connect>;
beforeAll(async () => {
  call = connect(await start({ grpcPort: 0 }));
});

afterAll(() => {
  for (const client of clients) client.close();
});

const PIXELS = pixels(1, 2, 2);
const image = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3] };
const request = { model_name: 'tiny', inputs: [image], raw_input_contents: [Buffer.from(PIXELS)] };

interface Answer {
  readonly outputs: readonly { name: string; datatype: string; shape: number[] }[];
  readonly raw_output_contents: readonly Buffer[];
}

describe('gRPC', () => {
  test('health and metadata', async () => {
    expect(await call('ServerLive')).toEqual({ live: true });
    expect(await call('ServerReady')).toEqual({ ready: true });
    expect(await call('ModelReady', { name: 'tiny' })).toEqual({ ready: true });
    // As Triton has it: what is not there is not ready.
    expect(await call('ModelReady', { name: 'dogs' })).toEqual({ ready: false });
    expect(await call('ModelReady', { name: 'tiny', version: '2' })).toEqual({ ready: false });
    expect(await call('ServerMetadata')).toMatchObject({ name: 'resnet-native' });
    expect(await call('ModelMetadata', { name: 'tiny', version: '1' })).toMatchObject({
      inputs: [{ name: 'input', shape: [-1, 3, -1, -1] }, { name: 'image' }],
      outputs: [{ name: 'logits', shape: [-1, 5] }, { name: 'avgpool' }],
    });
    expect(await call('RepositoryIndex')).toMatchObject({ models: [{ name: 'tiny', state: 'READY' }] });
  });

  test.each([
    ['bytes', request],
    [
      'typed contents',
      {
        ...request,
        inputs: [{ ...image, contents: { uint_contents: [...PIXELS] } }],
        raw_input_contents: [],
      },
    ],
  ])('infer, with %s', async (_name, message) => {
    const { outputs, raw_output_contents } = (await call('ModelInfer', message)) as Answer;
    expect(outputs.map(({ name, shape }) => [name, shape])).toEqual([
      ['logits', [1, 5]],
      ['avgpool', [1, 4, 1, 1]],
    ]);
    const [logits] = raw_output_contents;
    for (const [i, value] of expected(normalized(PIXELS)).logits.entries()) {
      expect(logits?.readFloatLE(4 * i)).toBeCloseTo(value, 4);
    }
  });

  test.each([
    ['NOT_FOUND', 5, 'ModelInfer', { ...request, model_name: 'dogs' }],
    ['INVALID_ARGUMENT', 3, 'ModelInfer', { ...request, raw_input_contents: [Buffer.alloc(5)] }],
    ['INVALID_ARGUMENT', 3, 'ModelInfer', { ...request, outputs: [{ name: 'nothing' }] }],
    [
      'INVALID_ARGUMENT',
      3,
      'ModelInfer',
      { ...request, inputs: [{ ...image, parameters: { shared_memory_region: { string_param: 'r' } } }] },
    ],
    [
      'INVALID_ARGUMENT',
      3,
      'ModelInfer',
      { ...request, inputs: [{ ...image, contents: { uint_contents: [...PIXELS] } }] },
    ],
    [
      'INVALID_ARGUMENT',
      3,
      'ModelInfer',
      { ...request, outputs: [{ name: 'logits', parameters: { classification: { string_param: '2' } } }] },
    ],
    ['PERMISSION_DENIED', 7, 'RepositoryModelLoad', { model_name: 'tiny' }],
  ])('%s: %#', async (_name, code, method, message) => {
    await expect(call(method, message)).rejects.toMatchObject({ code, details: expect.stringMatching(/.+/) });
  });

  test('configuration', async () => {
    const { config } = (await call('ModelConfig', { name: 'tiny' })) as { config: object };
    expect(config).toMatchObject({
      name: 'tiny',
      backend: 'resnet_native',
      max_batch_size: 4,
      input: [
        { name: 'input', data_type: 11, dims: [3, -1, -1], optional: true },
        { name: 'image', data_type: 2, dims: [-1, -1, 3], optional: true },
      ],
      output: [{ name: 'logits', data_type: 11, dims: [5], label_filename: 'labels' }, { name: 'avgpool' }],
      dynamic_batching: { default_queue_policy: { max_queue_size: 256 } },
    });
  });

  test('statistics, of one model and of all', async () => {
    await call('ModelInfer', request);
    for (const name of ['tiny', '']) {
      const { model_stats } = (await call('ModelStatistics', { name })) as {
        model_stats: { inference_count: number; inference_stats: { success: { count: number } } }[];
      };
      expect(model_stats).toHaveLength(1);
      expect(model_stats[0]).toMatchObject({ name: 'tiny', batch_stats: [{ batch_size: 1 }] });
      expect(model_stats[0]?.inference_count).toBeGreaterThan(0);
      expect(model_stats[0]?.inference_stats.success.count).toBeGreaterThan(0);
    }
    await expect(call('ModelStatistics', { name: 'dogs' })).rejects.toMatchObject({ code: 5 });
  });

  test('calls are logged with the id that they came with', async () => {
    const lines: string[] = [];
    const logger = { level: 'info', stream: { write: (line: string) => void lines.push(line) } };
    const logged = connect(await start({ grpcPort: 0, logger }));
    await logged('ModelInfer', request, { 'x-request-id': 'g-1' });
    await expect(logged('ModelInfer', { ...request, model_name: 'dogs' })).rejects.toThrow();
    const calls = lines.map((line) => JSON.parse(line)).filter(({ grpc }) => grpc !== undefined);
    expect(calls).toMatchObject([
      { reqId: 'g-1', grpc: '/inference.GRPCInferenceService/ModelInfer', code: 0 },
      { reqId: expect.stringMatching(/^[0-9a-f-]{36}$/), code: 5 },
    ]);
  });

  test('the repository: what is ready, unloading, and loading as it was', async () => {
    const open = connect(await start({ grpcPort: 0, repository: true }));
    expect(await open('RepositoryModelUnload', { model_name: 'tiny' })).toEqual({});
    expect(await open('RepositoryIndex')).toMatchObject({ models: [{ state: 'UNAVAILABLE' }] });
    expect(await open('RepositoryIndex', { ready: true })).toEqual({ models: [] });
    const config = { model_name: 'tiny', parameters: { config: { string_param: '{}' } } };
    await expect(open('RepositoryModelLoad', config)).rejects.toMatchObject({ code: 3 });
    expect(await open('RepositoryModelLoad', { model_name: 'tiny' })).toEqual({});
    expect(await open('RepositoryIndex', { ready: true })).toMatchObject({ models: [{ name: 'tiny' }] });
  });

  test('what was accepted is answered before the server ends', async () => {
    const model = { model: tinyNetwork, maxDelayMs: 300 };
    const started = await start({ grpcPort: 0, models: { tiny: model } });
    const ending = connect(started);
    const answers = Promise.all([ending('ModelInfer', request), ending('ModelInfer', request)]);
    while (started.server.models.get('tiny').batcher.stats().queued < 2) await sleep(2);
    const closing = started.server.close();
    await expect(ending('ModelInfer', request)).rejects.toMatchObject({ code: 14 });
    for (const answer of await answers) expect(answer).toMatchObject({ model_name: 'tiny' });
    await closing;
  });

  test('tensors of all requests together are bounded, and given back', async () => {
    const model = { model: tinyNetwork, maxDelayMs: 200 };
    const options = { bodyLimit: 30_000, bodyMemory: 50_000, models: { tiny: model } };
    const bounded = connect(await start({ grpcPort: 0, ...options }));
    const large = { ...image, shape: [1, 80, 80, 3] };
    const message = { ...request, inputs: [large], raw_input_contents: [Buffer.alloc(19_200)] };
    const together = await Promise.allSettled([1, 2, 3].map(() => bounded('ModelInfer', message)));
    expect(together.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(together.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 8 } });
    for (let i = 0; i < 3; i++) expect(await bounded('ModelInfer', message)).toMatchObject({ id: '' });
  });

  test('the token', async () => {
    const guarded = connect(await start({ grpcPort: 0, token: 'secret' }));
    expect(await guarded('ServerLive')).toEqual({ live: true });
    await expect(guarded('ModelInfer', request)).rejects.toMatchObject({ code: 16 });
    const headers = { authorization: 'Bearer secret' };
    expect(await guarded('ModelInfer', request, headers)).toMatchObject({ model_name: 'tiny' });
  });
});
