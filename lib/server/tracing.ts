import { type Attributes, context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { RunReport } from '../runtime/batch-stats.js';

// Spans for OpenTelemetry. Without an SDK in the process, which is the user's to set up, all of this does nothing.

/** Where a client's trace context is: headers, by their names in lower case. */
export type Carrier = Readonly<Record<string, unknown>>;

export type OnRun = (report: RunReport) => void;

/**
 * Does `work` in a span, under the span that is active, else under the client's (`traceparent`). The callback adds how
 * long the request waited and computed, as spans of their own.
 */
export async function traced<T>(
  name: string,
  attributes: Attributes,
  carrier: Carrier,
  work: (onRun: OnRun) => Promise<T>,
): Promise<T> {
  const tracer = trace.getTracer('resnet-native');
  const active = context.active();
  const parent = trace.getSpan(active) ? active : propagation.extract(active, carrier);
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  const within = trace.setSpan(parent, span);
  const onRun = ({ rows, queueMs, computeMs }: RunReport) => {
    const end = performance.timeOrigin + performance.now();
    const started = end - computeMs;
    tracer.startSpan('queue', { startTime: started - queueMs }, within).end(started);
    const batch = { 'resnet_native.batch.images': rows };
    tracer.startSpan('compute', { startTime: started, attributes: batch }, within).end(end);
  };
  try {
    return await context.with(within, () => work(onRun));
  } catch (error) {
    span.recordException(error as Error);
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
