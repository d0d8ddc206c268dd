import { openQueue, type PartQueue, PLAN_JOB, type QueueAddress } from './connection.js';

/** How far the work of all machines is. */
export interface QueueStatus {
  /** Whether all parts are known. */
  readonly planned: boolean;
  readonly waiting: number;
  /** Being worked on, or held by a machine that is gone, until its lock runs out. */
  readonly active: number;
  readonly done: number;
  /** Tried too often; `retry` puts them back. */
  readonly parked: readonly { readonly part: string; readonly error: string }[];
}

export async function statusOf(queue: PartQueue): Promise<QueueStatus> {
  const plan = await queue.getJob(PLAN_JOB);
  const planned = (await plan?.getState()) === 'completed';
  const counts = await queue.getJobCounts('wait', 'delayed', 'prioritized', 'active', 'completed');
  const failed = await queue.getFailed();
  return {
    planned,
    waiting: (counts.wait ?? 0) + (counts.delayed ?? 0) + (counts.prioritized ?? 0),
    active: counts.active ?? 0,
    done: (counts.completed ?? 0) - (planned ? 1 : 0),
    parked: failed.map(({ id, failedReason }) => ({ part: id ?? '', error: failedReason })),
  };
}

/** @throws ResNetError `INVALID_ARGUMENT`, `FILE` when no Redis answers. */
export async function queueStatus(address: QueueAddress): Promise<QueueStatus> {
  const queue = await openQueue(address);
  try {
    return await statusOf(queue);
  } finally {
    await queue.close();
  }
}

/** Puts parked parts back into the queue, and returns how many there were. */
export async function retryParked(address: QueueAddress): Promise<number> {
  const queue = await openQueue(address);
  try {
    const failed = await queue.getFailed();
    for (const job of failed) await job.retry('failed', { resetAttemptsMade: true });
    return failed.length;
  } finally {
    await queue.close();
  }
}
