import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // test/long has what `npm run test:long` runs.
    include: process.env.RESNET_NATIVE_LONG
      ? ['test/long/**/*.test.ts']
      : ['test/*.test.ts', 'test/!(long)/**/*.test.ts'],
    // Golden tests of the largest builders compute 15 GFLOP an image, on machines that may be slow and noisy.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Each file is a process of its own: native sessions own threads, and two files at once fill two cores.
    pool: 'forks',
    maxWorkers: 2,
  },
});
