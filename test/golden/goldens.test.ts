import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { StateTensor } from '../../lib/weights/state-dict.js';
import { architectures, type GoldenOutput, loadGolden, networkNames, relativeError } from './goldens.js';

const goldens = await Promise.all(networkNames.map(loadGolden));

describe.each(goldens)('$name', (golden) => {
  test('the state dict is the one that Python saw', () => {
    const state = golden.makeState();
    const entries = architectures[golden.name]?.stateDict ?? [];
    expect([...state.keys()]).toEqual(entries.map(([key]) => key));
    for (const [key, shape] of entries) {
      const { data, shape: actual } = state.get(key) as StateTensor;
      expect(actual, key).toEqual(shape);
      if (data instanceof Float32Array)
        expect(
          data.some((value) => value !== data[0]),
          key,
        ).toBe(true);
    }
    for (const [key, sha256] of Object.entries(golden.sha256)) {
      const { buffer, byteOffset, byteLength } = (state.get(key) as StateTensor).data;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      expect(createHash('sha256').update(bytes).digest('hex'), key).toBe(sha256);
    }
  });

  test.each(golden.cases)('$input: an answer that ignores the picture is far off', (goldenCase) => {
    const logits = goldenCase.outputs.get('fc') as GoldenOutput;
    const error = relativeError(meanOverImages(logits), logits);
    expect(error).toBeGreaterThan(0.1);
    expect(error).toBeCloseTo(goldenCase.constantError, 3);
    expect(goldenCase.float32Error).toBeLessThan(2e-6);
  });

  test.each(golden.cases)('$input: samples are complete', ({ outputs, pixels, shape }) => {
    expect(pixels.length).toBe(shape.reduce((a, b) => a * b));
    for (const [node, output] of outputs) {
      const size = output.shape.reduce((a, b) => a * b);
      expect(output.values.length, node).toBe(Math.ceil(size / output.stride));
      expect(output.shape[0], node).toBe(shape[0]);
    }
  });
});

function meanOverImages({ shape, values }: GoldenOutput): Float32Array {
  const [images = 0, classes = 0] = shape;
  const mean = new Float32Array(images * classes);
  for (let i = 0; i < mean.length; i++) {
    let sum = 0;
    for (let image = 0; image < images; image++) sum += values[image * classes + (i % classes)] as number;
    mean[i] = sum / images;
  }
  return mean;
}
