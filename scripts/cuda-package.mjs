// Makes the optional npm package that brings the CUDA backend: build/npm/cuda-linux-x64/, ready for `npm publish`. The
// library must have been built (npm run build:native, where CUDA's toolchain is). lib/runtime/cuda-library.ts looks for
// the package under this name.

import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CUDA_FILES } from './build-native.mjs';
import { fail, root, run } from './tools.mjs';

const built = join(root, 'build', 'Release');
const missing = CUDA_FILES.filter((file) => !existsSync(join(built, file)));
if (missing.length > 0) {
  fail(
    `${missing.join(' and ')} are missing: build them with npm run build:native where CUDA's toolchain is installed`,
  );
}

const { version, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const platform = `${process.platform}-${process.arch}`;
const folder = join(root, 'build', 'npm', `cuda-${platform}`);
const manifest = {
  name: `@resnet-native/cuda-${platform}`,
  version,
  description: `The CUDA backend of resnet-native for ${platform}`,
  license,
  engines,
  os: [process.platform],
  cpu: [process.arch],
  files: CUDA_FILES,
  // Both must be of one version: the library says so when they are not.
  peerDependencies: { 'resnet-native': version },
};
const readme = `# ${manifest.name}

The CUDA backend of [resnet-native](https://www.npmjs.com/package/resnet-native) for ${platform}. Install it beside
\`resnet-native\`, in the same version; it is found by its name. It needs an NVIDIA driver, cuDNN 9 and cuBLASLt, which
\`npx resnet-native devices\` looks for and tells about.
`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(join(folder, 'README.md'), readme);
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
for (const file of CUDA_FILES) {
  copyFileSync(join(built, file), join(folder, file));
  run('strip', ['--strip-unneeded', join(folder, file)]);
}
console.log(folder);
