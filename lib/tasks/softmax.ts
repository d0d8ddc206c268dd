/**
 * Probabilities of float32 logits, computed in float64. NaN propagates as in torch: one makes all of them NaN.
 */
export function softmax(logits: Float32Array): Float64Array {
  const probabilities = Float64Array.from(logits);
  // The largest is subtracted so that no exponential overflows.
  const largest = probabilities.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const [i, logit] of probabilities.entries()) {
    const exponential = Math.exp(logit - largest);
    probabilities[i] = exponential;
    sum += exponential;
  }
  return probabilities.map((value) => value / sum);
}
