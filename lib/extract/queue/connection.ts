import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { ConnectionOptions, Queue } from 'bullmq';
import { ResNetError } from '../../errors.js';
import { invalid } from '../../is.js';
import type { Part } from '../part-writer.js';

/** `redis://HOST`, of an extraction into a folder: every machine that gives the same two works on the same. */
export interface QueueAddress {
  readonly url: string;
  /** The shared folder for the features, under the same path on every machine. */
  readonly out: string;
}

/** The job that cuts the input into parts; all others are named after their part. */
export const PLAN_JOB = 'plan';

export type PartQueue = Queue<object, Part | number>;

const CONNECT_MS = 10_000;

export function queueName(out: string): string {
  return `resnet-native-extract-${createHash('sha256').update(resolve(out)).digest('hex').slice(0, 16)}`;
}

/** Waits for a Redis that went away, however long: what was under way goes on when it is back. */
export function connection(url: string): ConnectionOptions {
  const { hostname, port, username, password, pathname, protocol } = new URL(url);
  return {
    host: hostname,
    port: port === '' ? 6379 : Number(port),
    db: Number(pathname.slice(1)) || 0,
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { tls: {} }),
    maxRetriesPerRequest: null,
  };
}

/**
 * The queue of an extraction.
 * @throws ResNetError `INVALID_ARGUMENT` for what is no Redis URL, `FILE` when no Redis answers there.
 */
export async function openQueue({ url, out }: QueueAddress): Promise<PartQueue> {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw invalid('queue', 'a URL like redis://host:6379', url);
  }
  await checkReachable(url);
  // Loaded when a queue is asked for: it takes longer than the rest of the package.
  const { Queue } = await import('bullmq');
  const queue: PartQueue = new Queue(queueName(out), { connection: connection(url) });
  // Without a listener a lost connection would be thrown; it comes back by itself.
  queue.on('error', () => undefined);
  return queue;
}

async function checkReachable(url: string): Promise<void> {
  const { Redis } = await import('ioredis');
  const options = { lazyConnect: true, connectTimeout: CONNECT_MS, retryStrategy: () => null };
  const client = new Redis(url, options);
  let reason = 'no answer';
  client.on('error', (error: Error) => {
    reason = error.message;
  });
  try {
    await client.connect();
  } catch (error) {
    // Not the URL itself: it may hold a password.
    const { host } = new URL(url);
    throw new ResNetError('FILE', `No Redis can be reached at ${host}: ${reason}`, { cause: error });
  } finally {
    client.disconnect();
  }
}
