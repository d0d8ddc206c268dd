import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  getModel,
  getModelWeights,
  listModels,
  resnet18,
  resnext50_32x4d,
} from '../../lib/models/builders.js';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import * as entries from '../../lib/models/weights-entries.js';
import { cachedWeightsPath } from '../../lib/weights/hub.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import { architectures } from '../golden/goldens.js';

const { getWeight, ResNet18_Weights, ResNet50_Weights, WEIGHTS_ENUMS, WeightsEntry } = entries;
const all = Object.values(WEIGHTS_ENUMS).flatMap((weights) => Object.values(weights));

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'resnet-native-'));
  vi.stubEnv('RESNET_NATIVE_HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

describe('models by name', () => {
  test('are the ten of torchvision', () => {
    expect(listModels()).toEqual(
      Object.keys(architectures)
        .filter((name) => architectures[name]?.nodes)
        .sort(),
    );
  });

  test('are built without weights', async () => {
    const model = await getModel('ResNet18', { numClasses: 10 });
    expect(model).toBeInstanceOf(ResNet);
    expect(model.fc.outFeatures).toBe(10);
    expect(model.categories).toBeUndefined();
  });

  test('unknown ones are refused with the nearest', async () => {
    const error = await getModel('resnet5').catch((caught) => caught);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).toMatch(/received "resnet5" \(did you mean "resnet\d+"\?\)/);
    expect(() => getModelWeights('wide_resnet50')).toThrow('did you mean "wide_resnet50_2"');
    await expect(getModel(50 as unknown as string)).rejects.toThrow('a string for the name of a model');
  });

  test('options that the architecture fixes are refused', async () => {
    await expect(resnext50_32x4d({ groups: 16 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(resnext50_32x4d({ groups: 16 })).rejects.toThrow('Expected groups 32');
    await expect(resnext50_32x4d({ groups: 32 })).resolves.toBeInstanceOf(ResNet);
  });
});

describe('weights entries', () => {
  test('are those of torchvision 0.26', () => {
    expect(all).toHaveLength(17);
    expect(new Set(all.map(({ url }) => url)).size).toBe(17);
    for (const { url, meta } of all) {
      expect(url).toMatch(/^https:\/\/.+-[0-9a-f]{8}\.pth$/);
      expect(meta.categories).toHaveLength(1000);
      expect(meta.accuracy.top5).toBeGreaterThan(meta.accuracy.top1);
    }
    expect(ResNet50_Weights.IMAGENET1K_V2).toMatchObject({
      name: 'IMAGENET1K_V2',
      transform: { resizeSize: 232, cropSize: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      meta: { numParams: 25557032, accuracy: { top1: 80.858, top5: 95.434 }, gflops: 4.089 },
    });
    const { categories } = ResNet50_Weights.DEFAULT.meta;
    expect([categories[0], categories[207], categories[999]]).toEqual([
      'tench',
      'golden retriever',
      'toilet tissue',
    ]);
  });

  test.each(listModels())('%s has as many parameters as its entries say', (name) => {
    for (const entry of Object.values(getModelWeights(name))) {
      expect(entry.meta.numParams).toBe(architectures[name]?.parameters);
    }
  });

  test('DEFAULT is the best, and not listed twice', () => {
    expect(ResNet50_Weights.DEFAULT).toBe(ResNet50_Weights.IMAGENET1K_V2);
    expect(Object.keys(ResNet50_Weights)).toEqual(['IMAGENET1K_V1', 'IMAGENET1K_V2']);
    expect(Object.isFrozen(ResNet50_Weights)).toBe(true);
  });

  test('are found by their full names', () => {
    for (const entry of all) expect(getWeight(String(entry))).toBe(entry);
    expect(getWeight('ResNet50_Weights.DEFAULT')).toBe(ResNet50_Weights.IMAGENET1K_V2);
    const code = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => getWeight('ResNet50_Weights.IMAGENET1K_V3')).toThrow(code);
    expect(() => getWeight('ResNet50_Weights.IMAGENET1K_V3')).toThrow(/did you mean "ResNet50_Weights/);
    expect(() => getWeight('constructor')).toThrow(code);
  });

  test('give their preprocessing', () => {
    const { resizeSize, cropSize } = ResNet50_Weights.DEFAULT.transforms();
    expect([resizeSize, cropSize]).toEqual([232, 224]);
  });
});

describe('building with weights', () => {
  /** Puts a file where the download of an entry would be. */
  async function cache(entry: InstanceType<typeof WeightsEntry>, model: ResNet): Promise<void> {
    const path = cachedWeightsPath(entry);
    await mkdir(dirname(path), { recursive: true });
    await saveSafetensors(path, model.stateDict());
  }

  test.each(['DEFAULT', 'IMAGENET1K_V1', 'ResNet18_Weights.IMAGENET1K_V1', ResNet18_Weights.DEFAULT])(
    'loads %s from the cache',
    async (weights) => {
      const source = new ResNet(BasicBlock, [2, 2, 2, 2]);
      await cache(ResNet18_Weights.DEFAULT, source);
      const model = await resnet18({ weights });
      expect(model.fc.bias?.data).toEqual(source.fc.bias?.data);
      expect(model.conv1.weight.data).toEqual(source.conv1.weight.data);
      expect(model.categories).toBe(ResNet18_Weights.DEFAULT.meta.categories);
      expect(model.transform).toBe(ResNet18_Weights.DEFAULT.transform);
    },
  );

  test('weights of another network in the cache are told', async () => {
    await cache(ResNet18_Weights.DEFAULT, new ResNet(BasicBlock, [2, 2, 2, 2], { numClasses: 10 }));
    await expect(resnet18({ weights: 'DEFAULT' })).rejects.toMatchObject({ code: 'STATE_DICT_MISMATCH' });
  });

  test.each([
    ['another number of classes', { weights: 'DEFAULT', numClasses: 10 }, /Expected numClasses 1000/],
    [
      'weights of another model',
      { weights: ResNet50_Weights.DEFAULT },
      /entry of ResNet18_Weights .* "ResNet50_Weights.IMAGENET1K_V2"/,
    ],
    [
      'the full name of others',
      { weights: 'ResNet50_Weights.DEFAULT' },
      /"IMAGENET1K_V1", "DEFAULT" for weights/,
    ],
    ['an unknown name', { weights: 'IMAGENET1K_V3' }, /did you mean "IMAGENET1K_V1"/],
    [
      'what is no weights',
      { weights: true as unknown as string },
      /or its name for weights but received true/,
    ],
    ['an inherited name', { weights: 'toString' }, /for weights but received "toString"/],
  ])('%s: refused', async (_, options, message) => {
    await expect(resnet18(options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(resnet18(options)).rejects.toThrow(message);
  });
});

test('options that are none are refused', async () => {
  for (const options of [null, 5, { wieghts: 'DEFAULT' }]) {
    await expect(getModel('resnet18', options as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
});
