import { loadModel } from '../models/load.js';
import { type Autotune, type ComputeDType, compileModel } from '../runtime/compile.js';
import type { Session } from '../runtime/session.js';
import { Tensor } from '../tensor.js';
import { type LoadedNetwork, serveEngine } from './engine-loop.js';
import type { LoadRequest, ProfileAnswer } from './protocol.js';
import { median } from './statistics.js';
import { ownVersion } from './versions.js';

// The process that holds this package while it is measured.

async function load(request: LoadRequest, input: Float32Array): Promise<LoadedNetwork> {
  const { device, threads, shape } = request;
  const model = await loadModel(request.safetensors);
  const dtype = request.dtype as ComputeDType;
  const autotune = request.autotune as Autotune | undefined;
  const session = await compileModel(model, { device, dtype, threads, autotune, maxBatch: shape[0] });
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

await serveEngine({ version: ownVersion(), load });
