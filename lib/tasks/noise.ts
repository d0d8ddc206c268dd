import { throwIfAborted } from '../errors.js';
import type { Compilable } from '../runtime/compilable.js';
import { type CompileOptions, compileModel } from '../runtime/compile.js';
import type { Tensor } from '../tensor.js';

/** How well a value of the network survives int8. */
export interface LayerNoise {
  readonly name: string;
  /** 10 log10(Σ x² / Σ (x - x')²) over all images; infinite where nothing differs. */
  readonly decibels: number;
}

/**
 * Compares a model in int8 with what it was made of: the signal-to-noise ratio of each value that int8 computes, in
 * their order. Errors of earlier layers are in those of later ones.
 * @param images as `run` takes them.
 */
export async function measureNoise(
  model: Compilable,
  quantized: Compilable,
  images: readonly Tensor[],
  options: Pick<CompileOptions, 'device' | 'threads'> & { readonly signal?: AbortSignal | undefined } = {},
): Promise<LayerNoise[]> {
  const { signal, ...where } = options;
  const names = await valueNames(quantized, where);
  const maxBatch = Math.max(1, ...images.map(({ shape }) => shape[0] as number));
  const sums = names.map(() => ({ signal: 0, noise: 0 }));
  const exact = await compileModel(model, { ...where, outputs: names, maxBatch });
  const rounded = await compileModel(quantized, { ...where, outputs: names, maxBatch, dtype: 'int8' });
  try {
    for (const batch of images) {
      throwIfAborted(signal);
      const [expected, actual] = await Promise.all([exact.run(batch), rounded.run(batch)]);
      for (const [i, name] of names.entries()) {
        add(sums[i] as Sums, (expected[name] as Tensor).data, (actual[name] as Tensor).data);
      }
    }
  } finally {
    await Promise.all([exact.close(), rounded.close()]);
  }
  return names.map((name, i) => {
    const { signal: power, noise } = sums[i] as Sums;
    return { name, decibels: noise === 0 ? Infinity : 10 * Math.log10(power / noise) };
  });
}

interface Sums {
  signal: number;
  noise: number;
}

function add(sums: Sums, expected: ArrayLike<number>, actual: ArrayLike<number>): void {
  for (let i = 0; i < expected.length; i++) {
    const x = expected[i] as number;
    const difference = x - (actual[i] as number);
    sums.signal += x * x;
    sums.noise += difference * difference;
  }
}

/** The nodes that stay when the network is fused, without those that only convert. */
async function valueNames(quantized: Compilable, where: Pick<CompileOptions, 'device' | 'threads'>) {
  const session = await compileModel(quantized, { ...where, dtype: 'int8' });
  const nodes = new Set(quantized.graph.nodes.slice(1).map(({ name }) => name));
  const names = session.plan.map(({ name }) => name).filter((name) => nodes.has(name));
  await session.close();
  return names;
}
