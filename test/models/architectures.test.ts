import { describe, expect, test } from 'vitest';
import { graphNodeNames, resolveNode } from '../../lib/graph/names.js';
import { architectures, loadGolden, networkNames } from '../golden/goldens.js';
import { buildRecipe } from './recipes.js';

describe.each(networkNames)('%s', async (name) => {
  const architecture = architectures[name];
  if (!architecture) throw new Error(`no architecture of ${name}`);
  const model = await buildRecipe((await loadGolden(name)).recipe);

  test('has the state dict of torchvision: keys, their order, shapes', () => {
    const state = [...model.stateDict()].map(([key, { shape }]) => [key, [...shape]]);
    expect(state).toEqual(architecture.stateDict);
  });

  test('has as many learned values', () => {
    const sizes = [...model.namedParameters()].map(([, { size }]) => size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(architecture.parameters);
  });

  const { nodes } = architecture;
  if (nodes) {
    test('has the node names of torchvision, in order', () => {
      expect(graphNodeNames(model)).toEqual(nodes);
    });
  }

  test('names its stages, blocks and logits', () => {
    const { graph } = model;
    const last = graph.nodes.filter((node) => node.name.startsWith('layer3.')).at(-1)?.name;
    expect(resolveNode(graph, 'layer3')).toBe(last);
    expect(resolveNode(graph, 'layer1.0')).toMatch(/^layer1\.0\.relu_[12]$/);
    expect(resolveNode(graph, 'logits')).toBe('fc');
    expect(resolveNode(graph, 'relu')).toBe('relu');
  });
});

test('all ten builders of torchvision are compared', () => {
  expect(networkNames.filter((name) => architectures[name]?.nodes)).toHaveLength(10);
});
