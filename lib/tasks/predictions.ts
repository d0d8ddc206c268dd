import { softmax } from './softmax.js';
import { topK } from './topk.js';

/** One of the classes an image may be of. */
export interface Prediction {
  /** Of the logit. */
  readonly index: number;
  readonly label: string | null;
  /** 0 to 1: the softmax over all classes. */
  readonly probability: number;
}

/** The `k` likeliest classes of one image, likeliest first; equal ones in the order of their indices. */
export function predictionsOf(
  logits: Float32Array,
  labels: readonly string[] | undefined,
  k: number,
): Prediction[] {
  const probabilities = softmax(logits);
  // Ranked by logit, because different logits may have equal probabilities (both 0, say).
  return topK(logits, k).map((index) => ({
    index,
    label: labels?.[index] ?? null,
    probability: probabilities[index] as number,
  }));
}
