import { type Autotune, type ComputeDType, loadModel, type Session, Tensor } from '../index.js';
import type { Memory } from '../runtime/compile.js';
import { type LoadedNetwork, serveEngine } from './engine-loop.js';
import type { LoadRequest, ProfileAnswer } from './protocol.js';
import { median } from './statistics.js';
import { ownVersion } from './versions.js';

// The process that holds this package while it is measured, as those have it who import it.

async function load(request: LoadRequest, input: Float32Array): Promise<LoadedNetwork> {
  const { device, threads, shape } = request;
  const model = await loadModel(request.safetensors);
  const dtype = request.dtype as ComputeDType;
  const autotune = request.autotune as Autotune | undefined;
  const memory = request.memory as Memory | undefined;
  const session = await model.compile({ device, dtype, threads, autotune, memory, maxBatch: shape[0] });
  const batch = Tensor.fromFloat32(input, shape);
  return {
    run: async () => (await session.run(batch)).logits?.data as Float32Array,
    profile: (runs) => profile(session, batch, runs),
  };
}

async function profile(session: Session, batch: Tensor, runs: number): Promise<ProfileAnswer> {
  const times: number[][] = session.plan.map(() => []);
  for (let i = 0; i < runs; i++) {
    for (const [step, { ms }] of (await session.profile(batch)).entries()) times[step]?.push(ms);
  }
  const steps = session.plan.map(({ name, op, kernel }, step) => {
    return { name, op, kernel, ms: median(times[step] as number[]) };
  });
  return { steps };
}

function allocate(shape: readonly number[]): Float32Array {
  return Tensor.allocate(shape, 'float32').data as Float32Array;
}

await serveEngine({ version: ownVersion(), load, allocate });
