import { describe, expect, test } from 'vitest';
import { buildArchitecture, type ResNetArchitecture } from '../../lib/models/architecture.js';
import { inferArchitecture } from '../../lib/models/infer.js';
import { architectures, loadGolden, networkNames } from '../golden/goldens.js';

type Shapes = Map<string, { shape: readonly number[] }>;

function shapesOf(name: string): Shapes {
  const entries = architectures[name]?.stateDict ?? [];
  return new Map(entries.map(([key, shape]) => [key, { shape }]));
}

describe.each(networkNames)('%s', (name) => {
  test('its tensors tell the network', async () => {
    const { recipe } = await loadGolden(name);
    const options = 'builder' in recipe ? {} : recipe.options;
    const shortcut = options.shortcut as ResNetArchitecture['shortcut'];
    const hidden = shortcut === 'zero-pad' || shortcut === 'none';
    const architecture = inferArchitecture(shapesOf(name), hidden ? shortcut : undefined);
    const { replaceStrideWithDilation: _, ...visible } = options;
    expect(architecture).toMatchObject(visible);
    if (!('builder' in recipe))
      expect(architecture).toMatchObject({ block: recipe.block, layers: recipe.layers });
    const state = [...buildArchitecture(architecture).stateDict()].map(([key, { shape }]) => [
      key,
      [...shape],
    ]);
    expect(state).toEqual(architectures[name]?.stateDict);
  });
});

test.each([
  ['resnet34', { block: 'BasicBlock', layers: [3, 4, 6, 3] }],
  ['resnet152', { block: 'Bottleneck', layers: [3, 8, 36, 3], groups: 1, widthPerGroup: 64 }],
  ['resnext50_32x4d', { groups: 32, widthPerGroup: 4 }],
  ['resnext101_32x8d', { groups: 32, widthPerGroup: 8 }],
  ['resnext101_64x4d', { groups: 64, widthPerGroup: 4 }],
  ['wide_resnet101_2', { groups: 1, widthPerGroup: 128 }],
])('%s', (name, expected) => {
  expect(inferArchitecture(shapesOf(name))).toMatchObject({
    ...{ family: 'resnet', numClasses: 1000, stem: 'imagenet', shortcut: 'projection' },
    ...expected,
  });
});

describe('what is no ResNet is told', () => {
  const cases: [string, (shapes: Shapes) => unknown, RegExp][] = [
    ['no stem', (shapes) => shapes.delete('conv1.weight'), /there is no conv1.weight/],
    [
      'another stem',
      (shapes) => shapes.set('conv1.weight', { shape: [64, 3, 3, 3] }),
      /\[64,3,3,3\], and expected/,
    ],
    ['no stage', (shapes) => shapes.delete('layer3.0.conv1.weight'), /no layer3.0.conv1.weight/],
    ['no classes', (shapes) => shapes.delete('fc.weight'), /no fc.weight/],
    [
      'a classifier of another rank',
      (shapes) => shapes.set('fc.weight', { shape: [8] }),
      /expected are 2 sizes/,
    ],
    [
      'no width',
      (shapes) => shapes.set('layer1.0.conv2.weight', { shape: [64, 0, 3, 3] }),
      /expected are 4 sizes/,
    ],
    [
      'odd groups',
      (shapes) => shapes.set('layer1.0.conv2.weight', { shape: [64, 3, 3, 3] }),
      /no multiple of 3/,
    ],
  ];

  test.each(cases)('%s', (_, change, message) => {
    const shapes = shapesOf('resnet50');
    change(shapes);
    expect(() => inferArchitecture(shapes)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => inferArchitecture(shapes)).toThrow(message);
  });

  test('shortcuts that cannot be seen have to be told', () => {
    expect(() => inferArchitecture(shapesOf('cifar-resnet20'))).toThrow(
      "give the option shortcut, 'zero-pad' or",
    );
    expect(inferArchitecture(shapesOf('cifar-resnet20'), 'none').shortcut).toBe('none');
  });
});
