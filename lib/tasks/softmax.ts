/**
 * Probabilities of float32 logits, computed in float64. NaN propagates as in torch: one makes all of them NaN.
 */
export function softmax(logits: Float32Array): Float64Array {
  const probabilities = new Float64Array(logits);
  // The largest is subtracted so that no exponential overflows.
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of probabilities) largest = Math.max(largest, logit);
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    const exponential = Math.exp((probabilities[i] as number) - largest);
    probabilities[i] = exponential;
    sum += exponential;
  }
  for (let i = 0; i < probabilities.length; i++) probabilities[i] = (probabilities[i] as number) / sum;
  return probabilities;
}
