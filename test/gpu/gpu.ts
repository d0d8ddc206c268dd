import { devices } from '../../lib/index.js';

// The tests in this folder need a GPU. Without one they are skipped, with what `devices()` says; RESNET_NATIVE_REQUIRE_GPU
// makes that a failure, as scripts/verify-cuda.sh wants it.

const found = (await devices()).filter(({ id }) => id.startsWith('cuda'));

/** The first GPU that can be used; undefined where there is none. */
export const gpu = found.find(({ available }) => available);

export const whyNoGpu = gpu ? '' : `no CUDA device: ${found.map(({ reason }) => reason).join('; ')}`;

if (!gpu && process.env.RESNET_NATIVE_REQUIRE_GPU) throw new Error(whyNoGpu);
