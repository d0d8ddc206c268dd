// Formats the C++ and CUDA sources, or with --check reports those that are not formatted.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fail, firstAvailable, root, run } from './tools.mjs';

const check = process.argv.includes('--check');
if (!firstAvailable(['clang-format'])) fail('clang-format is missing (Debian: apt install clang-format)');

const files = ['native', join('test', 'native')].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((file) => /\.(h|cc|cu|cuh)$/.test(file))
    .map((file) => join(folder, file)),
);
run('clang-format', [...(check ? ['--dry-run', '-Werror'] : ['-i']), ...files]);
