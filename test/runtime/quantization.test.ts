import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BasicBlock,
  type CompileOptions,
  loadModel,
  type Model,
  type QuantizeOptions,
  quantizeModel,
  ResNet,
  readStateDict,
  saveSafetensors,
  Tensor,
  toOnnx,
} from '../../lib/index.js';

let folder: string;
let model: Model;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-int8-'));
  model = smallNetwork();
});
afterAll(() => rm(folder, { recursive: true }));

function smallNetwork(): Model {
  return new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', shortcut: 'zero-pad', numClasses: 10 });
}

const SHAPE = [4, 12, 12, 3] as const;

/** Pixels that no two images share. */
function pixels(seed: number, shape: readonly number[] = SHAPE): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return Tensor.fromUint8(
    Uint8Array.from({ length: size }, (_, i) => (Math.imul(i + 1, 2654435761 + seed) >>> 8) & 255),
    shape,
  );
}

async function* noImages(): AsyncGenerator<Tensor> {}

async function logitsOf(compiled: Model, options: CompileOptions, input = pixels(3)): Promise<Float32Array> {
  const session = await compiled.compile(options);
  const { logits } = await session.run(input);
  await session.close();
  return (logits as Tensor<Float32Array>).data;
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] as number)))) / largest;
}

test('compile with calibration images computes nearly what float32 does', async () => {
  const expected = await logitsOf(model, { device: 'cpu' });
  for (const calibration of [
    pixels(1),
    [pixels(1), pixels(2)],
    (async function* () {
      yield pixels(1);
    })(),
  ]) {
    const actual = await logitsOf(model, { device: 'cpu', dtype: 'int8', calibration });
    expect(relativeError(actual, expected)).toBeLessThan(0.1);
    expect(actual).not.toEqual(expected);
  }
});

test('a saved model needs no calibration and gives the same bits, on the reference device too', async () => {
  const quantized = await quantizeModel(model, pixels(1));
  const path = join(folder, 'tiny.safetensors');
  await saveSafetensors(path, quantized);
  const loaded = await loadModel(path);
  const expected = await logitsOf(quantized, { device: 'cpu', dtype: 'int8' });
  expect(await logitsOf(loaded, { device: 'cpu', dtype: 'int8' })).toEqual(expected);
  expect(await logitsOf(loaded, { device: 'reference', dtype: 'int8' })).toEqual(expected);
  expect(await logitsOf(model, { device: 'cpu', dtype: 'int8', calibration: pixels(1) })).toEqual(expected);

  const state = await readStateDict(path);
  const weights = [...state].filter(([key]) => /(conv\d|fc)\.weight$/.test(key));
  expect(weights.length).toBeGreaterThan(2);
  expect(weights.every(([, { dtype }]) => dtype === 'int8')).toBe(true);
});

test('images need not be of one size, and their order changes nothing', async () => {
  const sizes = [pixels(1), pixels(2, [1, 20, 15, 3]), pixels(3, [2, 9, 30, 3])];
  const [forward, backward] = await Promise.all([
    quantizeModel(model, sizes),
    quantizeModel(model, sizes.toReversed()),
  ]);
  expect(forward.graph).toEqual(backward.graph);
});

test('float32 input and uint8 input are calibrated alike', async () => {
  const { mean, std } = model.transform;
  const bytes = pixels(1);
  const floats = Float32Array.from(bytes.data as Uint8Array, (value, i) => {
    return (value / 255 - (mean[i % 3] as number)) / (std[i % 3] as number);
  });
  const [a, b] = await Promise.all([
    quantizeModel(model, bytes),
    quantizeModel(model, Tensor.fromFloat32(floats, SHAPE, { layout: 'NHWC' })),
  ]);
  for (const [i, { scale }] of a.graph.nodes.entries()) {
    expect(b.graph.nodes[i]?.scale ?? 0).toBeCloseTo(scale ?? 0, 5);
  }
});

test('methods differ, and minmax cuts nothing off', async () => {
  const scaleOf = async (options: QuantizeOptions) =>
    (await quantizeModel(model, pixels(1), options)).graph.nodes[0]?.scale as number;
  const largest = await scaleOf({ method: 'minmax' });
  expect(await scaleOf({ method: 'percentile', percentile: 50 })).toBeLessThan(largest);
  expect(await scaleOf({ method: 'percentile', percentile: 100 })).toBe(largest);
  expect(await scaleOf({ method: 'mse' })).toBeLessThanOrEqual(largest);
});

test('the first and the last layer can stay in float32', async () => {
  const quantized = await quantizeModel(model, pixels(1), { firstLayer: 'float32', lastLayer: 'float32' });
  const kept = quantized.graph.nodes.filter((node) => 'weight' in node && node.op !== 'batch_norm');
  const int8 = kept.filter((node) => 'weightScale' in node);
  expect(kept.at(0)).not.toHaveProperty('weightScale');
  expect(kept.at(-1)).not.toHaveProperty('weightScale');
  expect(int8).toHaveLength(kept.length - 2);
  const session = await quantized.compile({ device: 'cpu', dtype: 'int8' });
  const kernels = session.plan
    .filter(({ op }) => op === 'conv2d' || op === 'linear')
    .map(({ kernel }) => kernel);
  await session.close();
  expect(kernels.map((kernel) => kernel.includes('int8'))).toEqual(
    kept.map((_, i) => i > 0 && i < kept.length - 1),
  );
});

test('a quantised model also computes in float32, with the rounded weights, and goes to ONNX', async () => {
  const quantized = await quantizeModel(model, pixels(1));
  const [rounded, exact] = await Promise.all([logitsOf(quantized, {}), logitsOf(model, {})]);
  expect(relativeError(rounded, exact)).toBeLessThan(0.05);
  expect(toOnnx(quantized).length).toBeGreaterThan(1000);
});

test('progress tells how many images were seen', async () => {
  const seen: number[] = [];
  await quantizeModel(model, [pixels(1), pixels(2)], { onImages: (images) => seen.push(images) });
  expect(seen).toEqual([4, 8]);
});

describe('refuses', () => {
  const NAN_IMAGE = Tensor.fromFloat32(new Float32Array(3 * 64).fill(NaN), [1, 3, 8, 8]);
  test.each<[string, CompileOptions, string, RegExp]>([
    ['no calibration', {}, 'INVALID_ARGUMENT', /give `calibration` images/],
    ['an empty set', { calibration: [] }, 'INVALID_ARGUMENT', /at least one image/],
    ['a set that yields nothing', { calibration: noImages() }, 'INVALID_ARGUMENT', /at least one image/],
    ['a batch of no images', { calibration: pixels(1, [0, 8, 8, 3]) }, 'INVALID_SHAPE', /at least one image/],
    ['images of no pixels', { calibration: pixels(1, [2, 0, 8, 3]) }, 'INVALID_SHAPE', /one pixel/],
    ['what is no set', { calibration: 'photos' as never }, 'INVALID_ARGUMENT', /a Tensor, an array/],
    ['what is no tensor', { calibration: [7 as never] }, 'INVALID_ARGUMENT', /behind the first 0.*a Tensor/],
    [
      'other channels',
      { calibration: [pixels(1), pixels(1, [1, 8, 8, 4])] },
      'INVALID_SHAPE',
      /behind the first 4/,
    ],
    [
      'an image without a batch',
      { calibration: pixels(1, [8, 8, 3]) },
      'INVALID_SHAPE',
      /one image is a batch of 1/,
    ],
    [
      'NaN in images',
      { calibration: NAN_IMAGE },
      'INVALID_ARGUMENT',
      /NaN or infinite: look for NaN in the images/,
    ],
    [
      'calibration for float32',
      { dtype: 'float32', calibration: pixels(1) },
      'INVALID_ARGUMENT',
      /for dtype 'int8'/,
    ],
    [
      'a method',
      { calibration: pixels(1), quantization: { method: 'best' as never } },
      'INVALID_ARGUMENT',
      /method/,
    ],
    [
      'a percentile',
      { calibration: pixels(1), quantization: { percentile: 0 } },
      'INVALID_ARGUMENT',
      /percentile/,
    ],
  ])('%s', async (_, options, code, message) => {
    const compiling = model.compile({ device: 'cpu', dtype: 'int8', ...options });
    await expect(compiling).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('NaN in weights, where it is quantised and where it is compiled', async () => {
    const broken = smallNetwork();
    for (const [key, { data }] of broken.stateDict()) {
      if (key.endsWith('.weight')) (data as Float32Array)[0] = NaN;
    }
    await expect(quantizeModel(broken, pixels(1))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const quantized = await quantizeModel(model, pixels(1));
    for (const [key, { data }] of quantized.stateDict()) {
      if (key.endsWith('weight_scale')) (data as Float32Array)[0] = NaN;
    }
    await expect(quantized.compile({ device: 'cpu', dtype: 'int8' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/the weights of its channel 0 hold NaN/),
    });
  });

  test('int8 weights in a float32 model', async () => {
    const path = join(folder, 'weights.safetensors');
    await saveSafetensors(path, (await quantizeModel(model, pixels(1))).stateDict());
    await expect(loadModel(path)).rejects.toMatchObject({ name: 'ResNetError' });
  });
});
