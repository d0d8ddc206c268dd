import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toOnnx } from '../../lib/graph/onnx.js';
import { compileModel } from '../../lib/runtime/compile.js';
import { Tensor } from '../../lib/tensor.js';
import { loadStateDict } from '../../lib/weights/load.js';
import { loadGolden, networkNames, normalise } from '../golden/goldens.js';
import { buildRecipe } from '../models/recipes.js';

// Exported networks in another engine: valid to the onnx package, and equal in onnxruntime to our own session.

const TOLERANCE = 1e-5;

const python = process.env.RESNET_NATIVE_PYTHON;
const missing = whyMissing();

function whyMissing(): string | undefined {
  if (!python) return 'RESNET_NATIVE_PYTHON names no Python';
  const { status } = spawnSync(python, ['-c', 'import numpy, onnx, onnxruntime']);
  return status === 0 ? undefined : `${python} lacks onnx or onnxruntime`;
}

interface RuntimeOutput {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A Python process that runs ONNX files, see run_onnx.py. */
class OnnxRuntime {
  readonly #child = spawn(python as string, [fileURLToPath(new URL('run_onnx.py', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  async run(
    model: string,
    inputs: readonly { file: string; shape: readonly number[] }[],
  ): Promise<RuntimeOutput[]> {
    this.#child.stdin.write(`${JSON.stringify({ model, inputs })}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('run_onnx.py ended');
    const { outputs } = JSON.parse(value) as { outputs: { shape: number[]; data: string }[] };
    return outputs.map(({ shape, data }) => {
      return { shape, data: new Float32Array(new Uint8Array(Buffer.from(data, 'base64')).buffer) };
    });
  }

  close(): void {
    this.#child.stdin.end();
  }
}

function relativeDifference(actual: Float32Array, expected: Float32Array): number {
  expect(actual.length).toBe(expected.length);
  const differences = actual.map((value, i) => Math.abs(value - (expected[i] as number)));
  return Math.max(...differences) / Math.max(...expected.map(Math.abs));
}

describe.skipIf(missing)(`onnxruntime${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let runtime: OnnxRuntime;
  let folder: string;

  beforeAll(async () => {
    runtime = new OnnxRuntime();
    folder = await mkdtemp(join(tmpdir(), 'resnet-native-onnx-'));
  });

  afterAll(async () => {
    runtime.close();
    await rm(folder, { recursive: true });
  });

  test.each(networkNames)('%s', async (name) => {
    const { recipe, makeState, cases } = await loadGolden(name);
    const model = await buildRecipe(recipe);
    await loadStateDict(model, makeState());
    const file = join(folder, 'model.onnx');
    await writeFile(file, toOnnx(model));
    const inputs = cases.map(({ pixels, shape: [n, h, w, c] }, i) => {
      return { file: join(folder, `${i}.f32`), shape: [n, c, h, w], data: normalise(pixels, [n, h, w, c]) };
    });
    for (const input of inputs) await writeFile(input.file, input.data);
    const theirs = await runtime.run(
      file,
      inputs.map(({ file, shape }) => ({ file, shape })),
    );

    const session = await compileModel(model, { device: 'cpu' });
    try {
      for (const [i, { data, shape }] of inputs.entries()) {
        const { logits } = await session.run(Tensor.fromFloat32(data, shape));
        const { shape: theirShape, data: theirData } = theirs[i] as RuntimeOutput;
        expect(logits?.shape).toEqual(theirShape);
        const difference = relativeDifference(logits?.data as Float32Array, theirData);
        expect(difference, `${name}, input ${shape}`).toBeLessThanOrEqual(TOLERANCE);
      }
    } finally {
      await session.close();
    }
  });
});
