import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Value } from '../../lib/graph/value.js';
import { GraphModel } from '../../lib/models/graph-model.js';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { BasicBlock, Bottleneck, conv3x3, ResNet } from '../../lib/models/resnet.js';
import { relu } from '../../lib/nn/index.js';
import { Tensor } from '../../lib/tensor.js';
import { classification } from '../../lib/transforms/classification.js';
import { IMAGENET_TRANSFORM } from '../../lib/transforms/image-transform.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import type { StateDict } from '../../lib/weights/state-dict.js';

const CIFAR = { stem: 'cifar', shortcut: 'zero-pad', numClasses: 4 } as const;
const ARCHITECTURE = { family: 'resnet', block: 'BasicBlock', layers: [1, 1, 1], ...CIFAR };

/** A block that the file must carry, with a layer that forward does not use. */
class Odd extends BasicBlock {
  readonly unused = conv3x3(4, 4);
  override forward(x: Value): Value {
    return relu(super.forward(relu(x)));
  }
}

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resnet-native-'));
});
afterAll(() => rm(folder, { recursive: true }));

const small = () => new ResNet(BasicBlock, [1, 1, 1], CIFAR);

/** Saves under a new name and gives it. */
async function save(model: Model | StateDict, metadata: Record<string, string> = {}): Promise<string> {
  const file = join(folder, `${count++}.safetensors`);
  await saveSafetensors(file, model, { metadata });
  return file;
}

const saveState = (model: Model, metadata: object = {}) =>
  save(
    model.stateDict() as StateDict,
    Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, JSON.stringify(value)])),
  );

async function logits(model: Model): Promise<Float32Array> {
  const session = await model.compile({ device: 'reference' });
  try {
    const pixels = Uint8Array.from({ length: 9 * 7 * 3 }, (_, i) => (i * 41) % 256);
    const { logits: result } = await session.run(Tensor.fromUint8(pixels, [1, 9, 7, 3]));
    return (result as Tensor<Float32Array>).data;
  } finally {
    await session.close();
  }
}

describe('a file that carries its graph', () => {
  test('gives the same network without its classes', async () => {
    const model = new ResNet(Odd, [1, 1, 1], CIFAR);
    model.transform = { resizeSize: 8, cropSize: 8, mean: [0.1, 0.2, 0.3], std: [1, 2, 3] };
    model.categories = ['a', 'b', 'c', 'd'];
    const loaded = await loadModel(await save(model));
    expect(loaded).toBeInstanceOf(GraphModel);
    expect(loaded.graph).toEqual(model.graph);
    expect(loaded.transform).toEqual(model.transform);
    expect(loaded.categories).toEqual(model.categories);
    const expected = await logits(model);
    expect(new Set(expected).size).toBe(4);
    expect(await logits(loaded)).toEqual(expected);
  });

  test('can be saved and loaded again', async () => {
    const model = await loadModel(await save(small()));
    const again = await loadModel(await save(model));
    expect(again.graph).toEqual(model.graph);
    expect(await logits(again)).toEqual(await logits(model));
  });

  test('with a tensor missing or of another shape is refused, naming it', async () => {
    const { graph } = small();
    const state = small().stateDict() as StateDict;
    state.delete('layer2.0.conv1.weight');
    state.set('fc.bias', { dtype: 'float32', shape: [1], data: new Float32Array(1) });
    const error = await loadModel(await save(state, { graph: JSON.stringify(graph) })).catch(
      (caught) => caught,
    );
    expect(error).toMatchObject({ code: 'STATE_DICT_MISMATCH' });
    expect(error.message).toContain('layer2.0.conv1.weight');
    expect(error.message).toContain('fc.bias: expected [4], the file has [1]');
  });
});

describe('with outputs', () => {
  async function features(model: Model, outputs: readonly string[]) {
    const session = await model.compile({ device: 'reference', outputs });
    const pixels = Uint8Array.from({ length: 9 * 7 * 3 }, (_, i) => (i * 41) % 256);
    const results = await session.run(Tensor.fromUint8(pixels, [1, 9, 7, 3]));
    await session.close();
    return results;
  }

  test.each<[string, (model: Model) => Promise<string>]>([
    ['its graph', save],
    ['its architecture', (model) => saveState(model, { architecture: ARCHITECTURE })],
  ])('a file that carries %s gives the network up to the last of them', async (_, saved) => {
    const model = small();
    const outputs = ['layer1', 'layer2.0.relu'];
    const part = await loadModel(await saved(model), { outputs });
    expect([...part.parameters.keys()]).toEqual(
      [...model.parameters.keys()].filter((key) => !/^(layer2\.0\.(conv|bn)2|layer3|fc)/.test(key)),
    );
    expect(part.graph.nodes.at(-1)?.name).toBe('layer2.0.relu');
    expect(await features(part, outputs)).toEqual(await features(model, outputs));
    await expect(part.compile()).rejects.toMatchObject({ code: 'UNKNOWN_NODE' });
  });

  test('of tensors that are not needed nothing is asked', async () => {
    const state = small().stateDict() as StateDict;
    state.delete('fc.weight');
    const file = await save(state, { graph: JSON.stringify(small().graph) });
    await expect(loadModel(file)).rejects.toMatchObject({ code: 'STATE_DICT_MISMATCH' });
    await loadModel(file, { outputs: ['avgpool'] });
  });

  test('that are none, or not there, are refused', async () => {
    const file = await save(small());
    const none = loadModel(file, { outputs: [] });
    await expect(none).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const unknown = loadModel(file, { outputs: ['layer4'] });
    await expect(unknown).rejects.toThrow(/no node "layer4" \(did you mean "layer/);
  });
});

describe('the transform of a saved model', () => {
  const fields = { resizeSize: 40, cropSize: 32, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };

  test.each<[string, typeof fields]>([
    ['with more fields', Object.assign({ decode: 'fast' }, fields)],
    ['that is a function', classification(fields) as unknown as typeof fields],
  ])('%s is that of the loaded one', async (_, transform) => {
    const model = small();
    model.transform = transform;
    expect((await loadModel(await save(model))).transform).toEqual(fields);
  });

  test.each<[string, object | undefined]>([
    ['that is none', undefined],
    ['without sizes', { ...fields, resizeSize: undefined }],
    ['with too few deviations', { ...fields, std: [1] }],
  ])('%s is refused before anything is written', async (_, transform) => {
    const model = small();
    model.transform = transform as typeof fields;
    await expect(save(model)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a file that names its architecture', () => {
  test('gives a ResNet', async () => {
    const model = small();
    const categories = ['a', 'b', 'c', 'd'];
    const loaded = await loadModel(await saveState(model, { architecture: ARCHITECTURE, categories }));
    expect(loaded).toBeInstanceOf(ResNet);
    expect(loaded.graph).toEqual(model.graph);
    expect(loaded.categories).toEqual(categories);
    expect(loaded.transform).toBe(IMAGENET_TRANSFORM);
    expect(await logits(loaded)).toEqual(await logits(model));
  });

  test('that is another than the tensors have is refused', async () => {
    const file = await saveState(small(), { architecture: { ...ARCHITECTURE, layers: [1, 2, 1] } });
    await expect(loadModel(file)).rejects.toMatchObject({ code: 'STATE_DICT_MISMATCH' });
  });

  test('leaves nothing to options', async () => {
    const file = await saveState(small(), { architecture: ARCHITECTURE });
    await expect(loadModel(file, { shortcut: 'none' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('a file of tensors alone', () => {
  test('is inferred', async () => {
    const model = new ResNet(Bottleneck, [1, 2, 1, 1], { groups: 4, widthPerGroup: 8, numClasses: 3 });
    const loaded = await loadModel(await saveState(model));
    expect(loaded.graph).toEqual(model.graph);
    expect(await logits(loaded)).toEqual(await logits(model));
  });

  test('is inferred with the help of options', async () => {
    const file = await saveState(small());
    await expect(loadModel(file)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect((await loadModel(file, { shortcut: 'zero-pad' })).graph).toEqual(small().graph);
    const replaceStrideWithDilation = [false, true, true];
    const dilated = new ResNet(Bottleneck, [1, 1, 1, 1], { replaceStrideWithDilation });
    const dilatedFile = await saveState(dilated);
    expect((await loadModel(dilatedFile, { replaceStrideWithDilation })).graph).toEqual(dilated.graph);
    expect((await loadModel(dilatedFile)).graph).not.toEqual(dilated.graph);
  });

  test('options that do not fit it are refused as such', async () => {
    const file = await saveState(new ResNet(Bottleneck, [1, 1, 1, 1]));
    const wrong = loadModel(file, { replaceStrideWithDilation: [true] });
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('unknown options are refused', async () => {
    const typo = loadModel(await saveState(small()), { shortcuts: 'none' } as object);
    await expect(typo).rejects.toThrow('did you mean "shortcut"');
  });
});

describe('hostile metadata', () => {
  const cases: [string, object, RegExp][] = [
    ['a broken graph', { graph: { version: 1 } }, /nodes of the graph/],
    ['another family', { architecture: { ...ARCHITECTURE, family: 'vgg' } }, /"resnet" for family/],
    [
      'an inherited block',
      { architecture: { ...ARCHITECTURE, block: 'constructor' } },
      /"BasicBlock", "Bottleneck"/,
    ],
    [
      'endless layers',
      { architecture: { ...ARCHITECTURE, layers: [1, 1e9, 1] } },
      /from 1 to 1000 for layers/,
    ],
    ['no layers', { architecture: { ...ARCHITECTURE, layers: undefined } }, /layers of the architecture/],
    [
      'too few layers',
      { architecture: { ...ARCHITECTURE, layers: [1, 1] } },
      /cannot be built: Expected a list of 3/,
    ],
    [
      'groups of basic blocks',
      { architecture: { ...ARCHITECTURE, groups: 2 } },
      /cannot be built: BasicBlock/,
    ],
    ['an unknown field', { architecture: { ...ARCHITECTURE, depth: 3 } }, /no field "depth"/],
    [
      'endless classes',
      { architecture: { ...ARCHITECTURE, numClasses: 1e15 } },
      /numClasses of the architecture/,
    ],
    ['a list as architecture', { architecture: [] }, /a JSON object for the architecture/],
    [
      'a wrong number of categories',
      { architecture: ARCHITECTURE, categories: ['a'] },
      /1 categories for 4 logits/,
    ],
    ['categories that are no strings', { categories: ['a', 1] }, /one of the categories but the file has 1/],
    ['no categories', { categories: [] }, /a list of 1 to/],
    [
      'a transform without a size',
      { transform: { mean: [0], std: [1], cropSize: 8 } },
      /resizeSize of the transform/,
    ],
    ['a deviation of zero', { transform: { ...IMAGENET_TRANSFORM, std: [1, 1, 0] } }, /3 numbers above 0/],
    ['too few deviations', { transform: { ...IMAGENET_TRANSFORM, std: [1] } }, /3 numbers above 0/],
    [
      'another interpolation',
      { transform: { ...IMAGENET_TRANSFORM, interpolation: 'nearest' } },
      /"bilinear"/,
    ],
    ['an endless size', { transform: { ...IMAGENET_TRANSFORM, cropSize: 1e9 } }, /cropSize of the transform/],
  ];

  test.each(cases)('%s', async (_, metadata, message) => {
    const file = await saveState(small(), metadata);
    const error = await loadModel(file).catch((caught) => caught);
    expect(error).toMatchObject({ name: 'WeightsFormatError', code: 'WEIGHTS_FORMAT' });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(file);
  });

  test('metadata that is not JSON', async () => {
    const file = await save(small().stateDict() as StateDict, { categories: 'cat, dog' });
    await expect(loadModel(file)).rejects.toThrow('categories is not JSON');
  });
});

describe('a folder', () => {
  const folderOf = async (...names: string[]) => {
    const path = await mkdtemp(join(folder, 'models-'));
    for (const name of names) await saveSafetensors(join(path, name), small());
    await writeFile(join(path, 'README.md'), 'not weights');
    return path;
  };

  test('with one weights file, or several and model.safetensors', async () => {
    expect((await loadModel(await folderOf('digits.safetensors'))).graph).toEqual(small().graph);
    expect((await loadModel(await folderOf('a.pth', 'model.safetensors'))).graph).toEqual(small().graph);
  });

  test('without one, or with several, is refused', async () => {
    const none = await loadModel(await folderOf()).catch((caught) => caught);
    expect(none).toMatchObject({ code: 'FILE' });
    expect(none.message).toMatch(/Expected one weights file .* but there are none/);
    await expect(loadModel(await folderOf('a.pt', 'b.bin'))).rejects.toThrow(
      'there are 2 of them: "a.pt", "b.bin"',
    );
  });

  test('that does not exist', async () => {
    await expect(loadModel(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'FILE' });
    await expect(loadModel('')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
