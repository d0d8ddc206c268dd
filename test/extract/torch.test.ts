import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { benchNetwork } from '../../lib/bench/networks.js';
import { extractFeatures } from '../../lib/extract/extract-features.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import { GOLDEN_IMAGES } from '../transforms/images.js';
import { readNpy, temporaryFolder } from './folders.js';
import { missingPython, python } from './python.js';

const PACKAGES = 'torch, torchvision, safetensors';
// Two photographs, a grey one, one with alpha and one that has to be enlarged.
const IMAGES = ['china.jpg', 'flower.jpg', 'jpeg-grey.jpg', 'png-rgba.png', 'size-23x19.png'];
const NODES = ['layer2.0.relu_1', 'layer3', 'avgpool', 'fc'];
/** Of the largest value: issue and README promise it of float32. */
const TOLERANCE = 1e-4;
const base = temporaryFolder();

test('features are those of torchvision, from the same files', { timeout: 120_000 }, async (context) => {
  const missing = missingPython(PACKAGES);
  if (missing) return context.skip(missing);
  const { model } = await benchNetwork('resnet18');
  const [weights, out, expected] = ['model.safetensors', 'ours', 'torch'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  await saveSafetensors(weights, model);
  const images = IMAGES.map((name) => GOLDEN_IMAGES + name);
  await extractFeatures(model, images, { out, outputs: NODES });
  mkdirSync(expected);
  const script = fileURLToPath(new URL('torch_features.py', import.meta.url));
  const nodes = NODES.map((node) => (node === 'layer3' ? 'layer3.1.relu_1' : node)).join(',');
  execFileSync(python as string, [script, 'resnet18', weights, nodes, expected, ...images]);

  expect(readdirSync(expected)).toHaveLength(NODES.length);
  for (const node of NODES) {
    const ours = readNpy(join(out, `part-00000.${node}.npy`)).data as Float32Array;
    const torch = readNpy(join(expected, `${node === 'layer3' ? 'layer3.1.relu_1' : node}.npy`))
      .data as Float32Array;
    expect(ours).toHaveLength(torch.length);
    const largest = torch.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = torch.reduce((most, value, i) => Math.max(most, Math.abs(value - (ours[i] as number))), 0);
    expect(worst / largest, node).toBeLessThan(TOLERANCE);
  }
});
