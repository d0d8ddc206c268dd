import type { LayerTime, Peak } from './results.js';

/**
 * The least milliseconds that a layer could take on this machine if all it reads came from memory: those of its
 * multiply-adds or of its bytes, whichever are more. NaN where the peak of the dtype was not measured. An algorithm that
 * saves multiply-adds, or data that stays in caches from the layer before, can be faster.
 */
export function rooflineMs({ macs, bytes }: LayerTime, dtype: string, peak: Peak): number {
  const gflops = peak.gflops[dtype] ?? Number.NaN;
  return Math.max((2 * macs) / gflops, bytes / peak.bandwidth) / 1e6;
}
