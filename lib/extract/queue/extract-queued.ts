import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { AbortError, ResNetError, throwIfAborted } from '../../errors.js';
import { checkInteger } from '../../is.js';
import type { Compilable } from '../../runtime/compilable.js';
import { checkedInputs, type ExtractInputs } from '../../sources/inputs.js';
import { createExtraction, type Extraction, type ExtractionOptions, withoutKeys } from '../extraction.js';
import { checkFingerprint, checkWriter, newManifest, readManifest, writeManifest } from '../manifest.js';
import type { Part } from '../part-writer.js';
import { connection, openQueue, type PartQueue, PLAN_JOB, queueName } from './connection.js';
import { writePlan } from './plan.js';
import { type QueueStatus, statusOf } from './status.js';
import { finishedPart, writePlannedPart } from './write-part.js';

export interface QueuedOptions extends ExtractionOptions {
  /** A folder that all machines share, under the same path. */
  readonly out: string;
  /** `redis://host:6379`. Give Redis an append-only file, or the work of a queue is gone with it. */
  readonly queue: string;
  /** Images in a part; a tar is a part of its own. Default 10,000. */
  readonly shardSize?: number | undefined;
  /** Tries of a part before it is parked with its error. Default 3. */
  readonly tries?: number | undefined;
  /** Milliseconds after which another machine takes over from one that is gone. Default 30,000. */
  readonly takeOverMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called every second with the progress of all machines. */
  readonly onStatus?: ((status: QueueStatus) => void) | undefined;
}

const QUEUED_KEYS = ['out', 'queue', 'shardSize', 'tries', 'takeOverMs', 'signal', 'onStatus'] as const;
// How often a part may be taken over: above the kills that a part is likely to see, under a loop without an end.
const MAX_TAKE_OVERS = 10;
const STATUS_MS = 1000;

/**
 * Extracts features with any number of machines: each calls this with the same arguments. One of them cuts the inputs
 * into parts, all work on these, and it returns when all are through. What a machine had under way when it went is taken
 * over; an aborted one gives it back.
 * @returns the state of the whole; `parked` names the parts that failed too often.
 * @throws what `extractFeatures` throws; `FILE` when no Redis answers; AbortError.
 */
export async function extractQueued(
  model: Compilable,
  inputs: ExtractInputs,
  options: QueuedOptions,
): Promise<QueueStatus> {
  checkedInputs(inputs);
  const { out, shardSize = 10_000, tries = 3, takeOverMs = 30_000 } = options;
  checkInteger('shardSize', shardSize, 1);
  checkInteger('tries', tries, 1);
  checkInteger('takeOverMs', takeOverMs, 100);
  const queue = await openQueue({ url: options.queue, out });
  try {
    const extraction = await createExtraction(model, withoutKeys(options, QUEUED_KEYS));
    try {
      await openFolder(out, extraction);
      await queue.add(PLAN_JOB, {}, { jobId: PLAN_JOB, attempts: tries });
      return await workThrough(queue, extraction, inputs, { ...options, shardSize, tries, takeOverMs });
    } finally {
      await extraction.close();
    }
  } finally {
    await queue.close();
  }
}

async function openFolder(out: string, { fingerprint, columns }: Extraction): Promise<void> {
  await mkdir(out, { recursive: true });
  const manifest = await readManifest(out);
  if (manifest) {
    checkFingerprint(out, manifest, fingerprint);
    await checkWriter(out, manifest, true);
  } else await writeManifest(out, newManifest(fingerprint, columns));
}

type Settled = QueuedOptions & { shardSize: number; tries: number; takeOverMs: number };

async function workThrough(
  queue: PartQueue,
  extraction: Extraction,
  inputs: ExtractInputs,
  options: Settled,
): Promise<QueueStatus> {
  const { UnrecoverableError, WaitingError, Worker } = await import('bullmq');
  const { out, takeOverMs, signal, onStatus } = options;
  const process = async (job: Job, token?: string): Promise<Part | number> => {
    try {
      throwIfAborted(signal);
      if (job.id !== PLAN_JOB) return await writePlannedPart(out, job.id as string, extraction, signal);
      return await plan(queue, inputs, options);
    } catch (error) {
      if (error instanceof AbortError) {
        // Back for another machine; it does not count as a try.
        await job.moveToWait(token);
        throw new WaitingError();
      }
      // The same arguments would be wrong the next time too.
      if (error instanceof ResNetError && error.code === 'INVALID_ARGUMENT') {
        throw new UnrecoverableError(error.message);
      }
      throw error;
    }
  };
  const worker = new Worker(queueName(out), process, {
    connection: connection(options.queue),
    lockDuration: takeOverMs,
    stalledInterval: takeOverMs,
    maxStalledCount: MAX_TAKE_OVERS,
  });
  worker.on('error', () => undefined);
  try {
    for (;;) {
      const status = await statusOf(queue);
      onStatus?.(status);
      const planFailed = status.parked.some(({ part }) => part === PLAN_JOB);
      if (status.active + status.waiting === 0 && (status.planned || planFailed)) break;
      await sleep(STATUS_MS, undefined, { signal }).catch(() => throwIfAborted(signal));
    }
    await completeManifest(queue, extraction, out);
    return await statusOf(queue);
  } finally {
    await worker.close();
  }
}

/** Parts are added under their names, which does nothing for those that are there already. */
async function plan(queue: PartQueue, inputs: ExtractInputs, options: Settled): Promise<number> {
  const parts = await writePlan(options.out, inputs, options.shardSize, options.signal);
  const ofPart = (name: string) => ({
    name: 'part',
    data: {},
    opts: { jobId: name, attempts: options.tries, backoff: { type: 'exponential', delay: STATUS_MS } },
  });
  for (let i = 0; i < parts.length; i += 1000) await queue.addBulk(parts.slice(i, i + 1000).map(ofPart));
  return parts.length;
}

/** Every machine does it in the end, and all write the same. */
async function completeManifest(queue: PartQueue, { fingerprint, columns }: Extraction, out: string) {
  const done = await queue.getCompleted();
  const names = done.flatMap(({ id }) => (id === undefined || id === PLAN_JOB ? [] : [id])).sort();
  const parts: Part[] = [];
  for (const name of names) {
    const part = await finishedPart(out, name);
    if (part) parts.push(part);
  }
  await writeManifest(out, { ...newManifest(fingerprint, columns), parts });
}
