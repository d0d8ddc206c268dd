// How alike two sets of logits are, [n, classes]. Logits of a random network are much the same for every picture, so an
// answer that ignores the picture would look good beside them: what all pictures have in common is taken away first.

/** The cosine between both, centred over the pictures; 0 for an answer that is the same for all of them. */
export function centredCosine(actual: ArrayLike<number>, expected: ArrayLike<number>, n: number): number {
  const [a, b] = [centred(actual, n), centred(expected, n)];
  const norms = Math.sqrt(dot(a, a) * dot(b, b));
  return norms === 0 ? 0 : dot(a, b) / norms;
}

/** The share of pictures whose centred logits have their largest at the same class. */
export function topOneAgreement(actual: ArrayLike<number>, expected: ArrayLike<number>, n: number): number {
  const classes = expected.length / n;
  const [a, b] = [centred(actual, n), centred(expected, n)];
  const largest = (values: Float64Array, i: number) => {
    const row = values.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(row.reduce((best, value) => Math.max(best, value), -Infinity));
  };
  return (
    Array.from({ length: n }, (_, i) => Number(largest(a, i) === largest(b, i))).reduce((x, y) => x + y) / n
  );
}

function centred(values: ArrayLike<number>, n: number): Float64Array {
  const classes = values.length / n;
  const mean = new Float64Array(classes);
  for (let i = 0; i < values.length; i++) {
    mean[i % classes] = (mean[i % classes] as number) + (values[i] as number) / n;
  }
  return Float64Array.from(values, (value, i) => value - (mean[i % classes] as number));
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}
