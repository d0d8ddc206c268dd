import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { getModel, loadStateDict, type Model, quantizeModel, Tensor, transforms } from '../../lib/index.js';
import { centredCosine, topOneAgreement } from './agreement.js';
import { loadGolden } from './goldens.js';

// int8 against torch in float64, on networks of the usual size whose batch-norm statistics were measured on pictures.

const COSINE = 0.99;

const images = fileURLToPath(new URL('images/', import.meta.url));

/** Other parts of the two photographs than the golden inputs show, at several scales. */
async function calibrationImages(): Promise<Tensor[]> {
  const crops = [];
  for (const resizeSize of [224, 256, 320, 420]) {
    const load = transforms.classification({ resizeSize, cropSize: 224 });
    for (const name of ['china.jpg', 'flower.jpg']) {
      const { data } = await load(join(images, name));
      crops.push(Tensor.fromUint8(data as Uint8Array, [1, 224, 224, 3]));
    }
  }
  return crops;
}

async function goldenModel(name: string) {
  const golden = await loadGolden(name);
  const model: Model = await getModel(name);
  await loadStateDict(model, golden.makeState());
  const pictures = golden.cases.find(({ input }) => input === 'photos-224x224');
  if (!pictures) throw new Error(`no pictures for ${name}`);
  return { model, pictures, logits: pictures.outputs.get('fc')?.values as Float64Array };
}

const NETWORKS = ['resnet18', 'resnet34', 'resnet50', 'resnext50_32x4d', 'wide_resnet50_2'];

describe.each(NETWORKS)('%s', (name) => {
  test('int8 logits are within the gate of torch’s in float64', async ({ annotate }) => {
    const { model, pictures, logits } = await goldenModel(name);
    const quantized = await quantizeModel(model, await calibrationImages());
    const session = await quantized.compile({ device: 'cpu', dtype: 'int8' });
    const n = pictures.shape[0];
    const results = await session.run(Tensor.fromUint8(pictures.pixels, pictures.shape));
    await session.close();
    const actual = (results.logits as Tensor<Float32Array>).data;
    const cosine = centredCosine(actual, logits, n);
    const agreement = topOneAgreement(actual, logits, n);
    await annotate(`centred cosine ${cosine.toFixed(4)}, top-1 agreement ${agreement}`);
    expect(cosine).toBeGreaterThanOrEqual(COSINE);
    // Of four pictures; centred logits of a random network have no class that stands out.
    expect(agreement).toBeGreaterThanOrEqual(0.75);
  });

  test('an answer that ignores the picture fails the gate', async () => {
    const { pictures, logits } = await goldenModel(name);
    const n = pictures.shape[0];
    const classes = logits.length / n;
    const constant = Float64Array.from(logits, (_, i) => logits[i % classes] as number);
    expect(centredCosine(constant, logits, n)).toBeLessThan(0.5);
  });
});
