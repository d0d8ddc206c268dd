import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  getModel,
  loadStateDict,
  type Model,
  quantizeModel,
  type Session,
  Tensor,
  transforms,
} from '../../lib/index.js';
import { centredCosine, topOneAgreement } from './agreement.js';
import { type GoldenCase, loadGolden } from './goldens.js';

// int8 against torch in float64, on networks of the usual size whose batch-norm statistics were measured on pictures.

/**
 * The networks that pass the gate. Those of a hundred layers and more are random ones that amplify what each layer's
 * rounding does: they come to 0.987, on every device.
 */
export const INT8_NETWORKS: readonly string[] = [
  'resnet18',
  'resnet34',
  'resnet50',
  'resnext50_32x4d',
  'wide_resnet50_2',
];
/** The gate of int8: the least centred cosine of the logits. */
export const INT8_COSINE = 0.99;
/** Of four pictures; centred logits of a random network have no class that stands out. */
export const INT8_AGREEMENT = 0.75;

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

/** A golden network quantised, and the pictures that tell how well. */
export async function quantizedGolden(name: string): Promise<{ quantized: Model; pictures: GoldenCase }> {
  const golden = await loadGolden(name);
  const model: Model = await getModel(name);
  await loadStateDict(model, golden.makeState());
  const pictures = golden.cases.find(({ input }) => input === 'photos-224x224');
  if (!pictures) throw new Error(`no pictures for ${name}`);
  return { quantized: await quantizeModel(model, await calibrationImages()), pictures };
}

export function goldenLogits({ outputs }: GoldenCase): Float64Array {
  return outputs.get('fc')?.values as Float64Array;
}

/** How alike the session's logits of the pictures and torch's are. */
export async function agreementOf(session: Session, pictures: GoldenCase) {
  const { logits } = await session.run(Tensor.fromUint8(pictures.pixels, pictures.shape));
  const [actual, expected] = [logits?.data as Float32Array, goldenLogits(pictures)];
  const n = pictures.shape[0];
  return {
    cosine: centredCosine(actual, expected, n),
    agreement: topOneAgreement(actual, expected, n),
    logits: actual,
  };
}
