import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type SpanOptions,
  type TextMapPropagator,
  type TimeInput,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pixels } from '../runtime/tiny-network.js';
import { start } from './start.js';

// The smallest SDK that shows what the server says to one.

interface Recorded extends SpanOptions {
  readonly name: string;
  readonly parent: string | undefined;
  readonly id: string;
  ended?: TimeInput | undefined;
  failed?: boolean;
}

const spans: Recorded[] = [];

class TestTracer {
  startSpan(name: string, options: SpanOptions = {}, within: Context = context.active()): Span {
    const parent = trace.getSpanContext(within);
    const recorded: Recorded = { ...options, name, parent: parent?.spanId, id: `span-${spans.length}` };
    spans.push(recorded);
    const own: SpanContext = {
      traceId: parent?.traceId ?? 'new',
      spanId: recorded.id,
      traceFlags: TraceFlags.SAMPLED,
    };
    return {
      spanContext: () => own,
      end: (time?: TimeInput) => {
        recorded.ended = time ?? Date.now();
      },
      recordException: () => undefined,
      setStatus: () => {
        recorded.failed = true;
      },
    } as unknown as Span;
  }
}

class TestContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();
  active = () => this.#storage.getStore() ?? ROOT_CONTEXT;
  with: ContextManager['with'] = (within, work, self, ...args) =>
    this.#storage.run(within, () => work.call(self as never, ...args));
  bind: ContextManager['bind'] = (_context, target) => target;
  enable = () => this;
  disable = () => this;
}

/** Takes the id of the client's span from the header `x-span`. */
const propagator: TextMapPropagator<Record<string, string>> = {
  inject: () => undefined,
  extract: (within, { 'x-span': spanId }) =>
    spanId === undefined
      ? within
      : trace.setSpanContext(within, { traceId: 'theirs', spanId, traceFlags: TraceFlags.SAMPLED }),
  fields: () => ['x-span'],
};

beforeAll(() => {
  context.setGlobalContextManager(new TestContexts());
  propagation.setGlobalPropagator(propagator);
  trace.setGlobalTracerProvider({ getTracer: () => new TestTracer() as unknown as Tracer });
});

afterAll(() => {
  context.disable();
  propagation.disable();
  trace.disable();
});

test('a request is a span under the client’s, with its waiting and computing under it', async () => {
  const { infer } = await start();
  const image = { name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3], data: [...pixels(1, 2, 2)] };
  expect((await infer({ inputs: [image] }, undefined, { 'x-span': 'client' })).status).toBe(200);
  const [request, queue, compute] = spans as [Recorded, Recorded, Recorded];
  expect(spans.map(({ name }) => name)).toEqual(['infer tiny', 'queue', 'compute']);
  expect(request).toMatchObject({ parent: 'client', attributes: { 'resnet_native.model': 'tiny' } });
  expect([queue.parent, compute.parent]).toEqual([request.id, request.id]);
  expect(compute.attributes).toEqual({ 'resnet_native.batch.images': 1 });
  expect(queue.ended).toBe(compute.startTime);
  expect(Number(compute.ended)).toBeGreaterThan(Number(compute.startTime));
  expect(request.ended).toBeDefined();
});

test('one that fails says so', async () => {
  spans.length = 0;
  const { infer } = await start();
  expect((await infer('{')).status).toBe(400);
  expect(spans).toMatchObject([{ name: 'infer tiny', parent: undefined, failed: true }]);
});
