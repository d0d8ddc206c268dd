import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// The CUDA backend's library with simulated GPUs: everything but the GPU is the real thing. The native tests build it.

export const SIMULATED_LIBRARY = fileURLToPath(
  new URL('../../build/native-tests/test/native/resnet_native_cuda.so', import.meta.url),
);

/** Why tests through it are skipped; empty where they run. */
export const WHY_NO_SIMULATION = existsSync(SIMULATED_LIBRARY)
  ? ''
  : ' (skipped: there is no simulated CUDA library; npm run test:native builds it)';

/** What a process needs to see simulated GPUs. `settings` are those of simulated_library.cc. */
export function simulatedCuda(settings: Readonly<Record<string, string | number>> = {}): NodeJS.ProcessEnv {
  const entries = Object.entries(settings).map(([name, value]) => [`SIMULATED_${name}`, String(value)]);
  return { ...process.env, RESNET_NATIVE_CUDA_LIBRARY: SIMULATED_LIBRARY, ...Object.fromEntries(entries) };
}
