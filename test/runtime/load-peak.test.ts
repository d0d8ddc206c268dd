import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Bottleneck, ResNet } from '../../lib/models/resnet.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import { checkBuild } from '../cli/run-cli.js';
import { temporaryFolder } from '../weights/helpers.js';

const CHILD = fileURLToPath(new URL('children/load-peak.mjs', import.meta.url));
const MIB = 2 ** 20;
// Activations of one small image, one tensor on its way from the file, the stacks of threads, V8's own growth: measured,
// under 20 MiB. A second copy of the weights would be another 97.
const SLACK = 48 * MIB;

const folder = temporaryFolder();

test.skipIf(process.platform !== 'linux')(
  'a network from a file is held once, packed, while it is loaded, compiled and run (Linux tells the peak)',
  async () => {
    checkBuild();
    const file = join(folder, 'resnet50.safetensors');
    await saveSafetensors(file, new ResNet(Bottleneck, [3, 4, 6, 3]));
    const weights = (await stat(file)).size;
    expect(weights).toBeGreaterThan(2 * SLACK);
    const { stdout } = await promisify(execFile)(process.execPath, [CHILD, file, '64']);
    expect(Number(stdout)).toBeGreaterThan(weights);
    expect(Number(stdout)).toBeLessThan(weights + SLACK);
  },
);
