import { describe, expect, test } from 'vitest';
import { centredCosine } from './agreement.js';
import { type GoldenCase, loadGolden } from './goldens.js';
import {
  agreementOf,
  goldenLogits,
  INT8_AGREEMENT,
  INT8_COSINE,
  INT8_NETWORKS,
  quantizedGolden,
} from './quantized.js';

describe.each(INT8_NETWORKS)('%s', (name) => {
  test('int8 logits are within the gate of torch’s in float64', async ({ annotate }) => {
    const { quantized, pictures } = await quantizedGolden(name);
    const session = await quantized.compile({ device: 'cpu', dtype: 'int8' });
    const { cosine, agreement } = await agreementOf(session, pictures);
    await session.close();
    await annotate(`centred cosine ${cosine.toFixed(4)}, top-1 agreement ${agreement}`);
    expect(cosine).toBeGreaterThanOrEqual(INT8_COSINE);
    expect(agreement).toBeGreaterThanOrEqual(INT8_AGREEMENT);
  });

  test('an answer that ignores the picture fails the gate', async () => {
    const golden = (await loadGolden(name)).cases.find(({ input }) => input === 'photos-224x224');
    const n = golden?.shape[0] as number;
    const logits = goldenLogits(golden as GoldenCase);
    const classes = logits.length / n;
    const constant = Float64Array.from(logits, (_, i) => logits[i % classes] as number);
    expect(centredCosine(constant, logits, n)).toBeLessThan(0.5);
  });
});
