import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { BatchReport } from '../runtime/batch-stats.js';
import type { Models } from './models.js';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];

/** Everything that is counted for Prometheus, in a registry of its own. */
export class Metrics {
  readonly registry = new Registry();
  readonly #queue = this.#histogram(
    'queue_seconds',
    'Time that requests waited for a batch',
    ['model'],
    SECONDS,
  );
  readonly #compute = this.#histogram('compute_seconds', 'Time that batches computed', ['model'], SECONDS);
  readonly #sizes = this.#histogram('batch_size', 'Images of batches', ['model'], SIZES);
  readonly #images = this.#counter('images_total', 'Images computed', ['model']);
  readonly #requests = this.#histogram(
    'request_seconds',
    'Time from a request to its answer',
    ['route', 'method', 'status'],
    SECONDS,
  );
  readonly #restarts = this.#counter(
    'device_restarts_total',
    'Times that a device was lost and its process started again',
    ['model'],
  );
  readonly #errors = this.#counter('errors_total', 'Requests answered with an error', ['code']);

  constructor(models: () => Models) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: 'resnet_native_queued_requests',
      help: 'Requests that wait for a batch now',
      labelNames: ['model'],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const { name, batcher } of models().list()) this.set({ model: name }, batcher.stats().queued);
      },
    });
  }

  batch(model: string, { rows, queueMs, computeMs, failed }: BatchReport): void {
    if (failed) return;
    for (const ms of queueMs) this.#queue.observe({ model }, ms / 1000);
    this.#compute.observe({ model }, computeMs / 1000);
    this.#sizes.observe({ model }, rows);
    this.#images.inc({ model }, rows);
  }

  /** @param route its pattern, not the URL: there must be few. */
  request(route: string, method: string, status: number, ms: number): void {
    this.#requests.observe({ route, method, status: String(status) }, ms / 1000);
  }

  restart(model: string): void {
    this.#restarts.inc({ model });
  }

  error(code: string): void {
    this.#errors.inc({ code });
  }

  #histogram<T extends string>(name: string, help: string, labelNames: T[], buckets: number[]): Histogram<T> {
    return new Histogram({
      name: `resnet_native_${name}`,
      help,
      labelNames,
      buckets,
      registers: [this.registry],
    });
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name: `resnet_native_${name}`, help, labelNames, registers: [this.registry] });
  }
}
