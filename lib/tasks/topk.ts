/**
 * Indices of the `k` largest values (all where there are fewer), largest first; equal values in the order of their
 * indices. NaN counts as larger than every number, as in torch.
 */
export function topK(values: ArrayLike<number>, k: number): number[] {
  const best: number[] = [];
  const ranksBefore = (i: number, j: number) => above(values[i] as number, values[j] as number);
  for (let i = 0; i < values.length; i++) {
    let rank = best.length;
    while (rank > 0 && ranksBefore(i, best[rank - 1] as number)) rank--;
    if (rank >= k) continue;
    best.splice(rank, 0, i);
    if (best.length > k) best.pop();
  }
  return best;
}

function above(a: number, b: number): boolean {
  return a > b || (Number.isNaN(a) && !Number.isNaN(b));
}
