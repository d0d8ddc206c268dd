import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The file's name, beside the addon and in the optional package. */
const LIBRARY = 'resnet_native_cuda.so';

/** The optional package that brings the CUDA backend to this platform: installed by name, found when it is there. */
const CUDA_PACKAGE = `@resnet-native/cuda-${process.platform}-${process.arch}`;

/**
 * Where the CUDA backend's library may be, in the order in which the addon tries them when a CUDA device is first asked
 * for: only the file that RESNET_NATIVE_CUDA_LIBRARY names, if it is set; else beside the addon, then in its package.
 */
export function cudaLibraries(addonPath: string): string[] {
  const { RESNET_NATIVE_CUDA_LIBRARY: chosen } = process.env;
  if (chosen) return [chosen];
  const beside = join(dirname(addonPath), LIBRARY);
  try {
    const manifest = createRequire(import.meta.url).resolve(`${CUDA_PACKAGE}/package.json`);
    return [beside, join(dirname(manifest), LIBRARY)];
  } catch {
    return [beside];
  }
}
