import { describe, expect, test } from 'vitest';
import { WeightsFormatError } from '../../lib/errors.js';
import type { Graph } from '../../lib/graph/graph.js';
import { parameterShapes } from '../../lib/graph/parameters.js';
import { parseGraph, serializeGraph } from '../../lib/graph/serialize.js';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import { loadGolden, networkNames } from '../golden/goldens.js';
import { buildRecipe } from '../models/recipes.js';

const { graph } = new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', shortcut: 'zero-pad', numClasses: 10 });

// biome-ignore lint/suspicious/noExplicitAny: what hostile JSON looks like is not known to types.
type Json = any;

/** The graph's JSON after `change`; what it sets to undefined is absent. */
const changed = (change: (json: Json) => Json) => JSON.stringify(change(JSON.parse(serializeGraph(graph))));

const withNodes = (change: (nodes: Json[]) => Json[]) =>
  changed((json) => ({ ...json, nodes: change(json.nodes) }));

const withNode = (name: string, attributes: object) =>
  withNodes((nodes) => nodes.map((node) => (node.name === name ? { ...node, ...attributes } : node)));

const withAliases = (aliases: object) =>
  changed((json) => ({ ...json, aliases: { ...json.aliases, ...aliases } }));

describe('round trip', () => {
  test.each(networkNames)('%s', async (name) => {
    const original = (await buildRecipe((await loadGolden(name)).recipe)).graph;
    const text = serializeGraph(original);
    expect(parseGraph(text)).toEqual(original);
    expect(serializeGraph(parseGraph(text))).toBe(text);
  });

  test('with every optional field and a normalisation', () => {
    const full: Graph = {
      version: 1,
      nodes: [
        { name: 'x', op: 'input', inputs: [], channels: 2 },
        { name: 'n', op: 'normalize', inputs: ['x'], mean: [0.5, -0.25], std: [1, 2] },
        {
          ...{ name: 'c', op: 'conv2d', inputs: ['n'], inChannels: 2, outChannels: 4, groups: 2 },
          ...{
            kernelSize: [3, 1],
            stride: [2, 1],
            padding: [1, 0],
            dilation: [1, 3],
            weight: 'w',
            bias: 'b',
          },
        },
        {
          name: 'bn',
          op: 'batch_norm',
          inputs: ['c'],
          features: 4,
          eps: 0,
          runningMean: 'm',
          runningVar: 'v',
        },
      ],
      aliases: { logits: 'bn' },
    };
    expect(parseGraph(serializeGraph(full))).toEqual(full);
    expect([...parameterShapes(full)]).toEqual([
      ['w', [4, 1, 3, 1]],
      ['b', [4]],
      ['m', [4]],
      ['v', [4]],
    ]);
  });
});

describe('refused', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const cases: [string, string, RegExp][] = [
    ['no JSON', '{"version": 1', /not JSON/],
    ['a list', '[]', /a JSON object for the graph but the file has a list of 0/],
    ['null', 'null', /has null/],
    ['nested without end', deep, /a JSON object for the graph/],
    [
      'another version',
      changed((json) => ({ ...json, version: 2 })),
      /version of the graph but the file has 2/,
    ],
    ['an unknown field', changed((json) => ({ ...json, comment: '' })), /no field "comment" in the graph/],
    ['no nodes', withNodes(() => []), /nodes of the graph/],
    ['too many nodes', withNodes(() => Array(20_001).fill(0)), /1 to 20000/],
    ['a node that is none', withNodes((nodes) => [...nodes, 5]), /a JSON object for node \d+ of the graph/],
    ['an unknown operation', withNode('relu', { op: 'gelu' }), /one of input, .* has "gelu"/],
    ['an inherited operation', withNode('relu', { op: 'constructor' }), /has "constructor"/],
    ['an operation that is none', withNode('relu', { op: { op: 1 } }), /has an object/],
    ['an unknown attribute', withNode('relu', { slope: 1 }), /no field "slope"/],
    ['a missing attribute', withNode('conv1', { groups: undefined }), /groups of conv1 .* none/],
    ['a missing tensor', withNode('bn1', { runningVar: undefined }), /runningVar of bn1/],
    ['a null in place of none', withNode('conv1', { bias: null }), /bias of conv1 .* null/],
    ['no name', withNode('relu', { name: undefined }), /a string for the name of node 3/],
    ['an empty name', withNode('fc', { name: '' }), /printable characters/],
    ['a huge name', withNode('fc', { name: 'a'.repeat(600) }), /1 to 512/],
    ['control characters', withNode('fc', { name: 'a\u0000b' }), /printable/],
    ['the name __proto__', withNode('fc', { name: '__proto__' }), /has "__proto__"/],
    ['the tensor __proto__', withNode('fc', { bias: '__proto__' }), /bias of fc/],
    ['two nodes of a name', withNode('fc', { name: 'flatten' }), /have the name "flatten"/],
    ['an unknown input', withNode('bn1', { inputs: ['nope'] }), /bn1 reads "nope"/],
    ['a later input', withNode('bn1', { inputs: ['relu'] }), /no earlier node/],
    ['itself as input', withNode('bn1', { inputs: ['bn1'] }), /no earlier node/],
    ['too few inputs', withNode('layer1.0.add', { inputs: ['relu'] }), /a list of 2/],
    [
      'inputs nested without end',
      `{"version":1,"aliases":{},"nodes":[{"name":"x","op":"input","inputs":${deep}}]}`,
      /inputs of x/,
    ],
    ['no input first', withNodes((nodes) => nodes.slice(1)), /The first node of the graph/],
    ['two inputs', withNodes((nodes) => [...nodes, { ...nodes[0], name: 'y' }]), /no other/],
    ['half a channel', withNode('conv1', { outChannels: 16.5 }), /outChannels of conv1 .* 16.5/],
    ['no channel', withNode('x', { channels: 0 }), /from 1 to/],
    ['too many channels', withNode('x', { channels: 2 ** 31 }), /2147483648/],
    ['channels as text', withNode('x', { channels: '3' }), /has "3"/],
    ['a negative padding', withNode('conv1', { padding: [1, -1] }), /padding of conv1 .* -1/],
    ['no stride', withNode('conv1', { stride: [0, 1] }), /stride of conv1/],
    ['three strides', withNode('conv1', { stride: [1, 1, 1] }), /\[height, width\]/],
    ['a huge kernel', withNode('conv1', { kernelSize: [1e9, 1] }), /from 1 to 32768/],
    ['a negative eps', withNode('bn1', { eps: -1e-5 }), /at least 0 for eps/],
    [
      'an infinite eps',
      serializeGraph(graph).replace('"eps":0.00001', '"eps":1e999'),
      /eps of bn1 .* Infinity/,
    ],
    ['groups that do not divide', withNode('conv1', { groups: 2 }), /groups of conv1/],
    ['channels that do not fit', withNode('bn1', { features: 8 }), /bn1 \(batch_norm\) expected 8/],
    ['features that do not fit', withNode('fc', { inFeatures: 8 }), /fc \(linear\) expected 8/],
    ['a tensor of two shapes', withNode('fc', { bias: 'bn1.bias' }), /the dtype and shape of bn1.bias/],
    [
      'no aliases',
      changed((json) => ({ ...json, aliases: undefined })),
      /aliases of the graph but the file has none/,
    ],
    ['no logits', withAliases({ logits: undefined }), /does not say which node its logits are/],
    ['an alias of nothing', withAliases({ stem: 'nope' }), /alias "stem" .* "nope"/],
    ['an alias of an alias', withAliases({ stem: 'layer1' }), /alias "stem"/],
    ['an alias that hides a node', withAliases({ fc: 'relu' }), /"fc" is the name of a node/],
    [
      'the alias __proto__',
      serializeGraph(graph).replace('"aliases":{', '"aliases":{"__proto__":"fc",'),
      /__proto__/,
    ],
    [
      'a field __proto__',
      serializeGraph(graph).replace('{', '{"__proto__":{"version":1},'),
      /no field "__proto__"/,
    ],
  ];

  test.each(cases)('%s', (_, text, message) => {
    expect(() => parseGraph(text)).toThrow(WeightsFormatError);
    expect(() => parseGraph(text)).toThrow(message);
    expect(() => parseGraph(text)).toThrow(expect.objectContaining({ code: 'WEIGHTS_FORMAT' }));
  });

  test('nothing leaks into all objects', () => {
    expect(({} as Record<string, unknown>).version).toBeUndefined();
  });

  test('names that objects inherit are names like others', () => {
    const text = withNode('fc', { name: 'constructor' }).replace(
      /"aliases":.*$/,
      '"aliases":{"toString":"relu","logits":"constructor"}}',
    );
    expect(parseGraph(text).aliases).toEqual({ toString: 'relu', logits: 'constructor' });
  });
});

/** Each single change of a value somewhere in the graph is refused or gives a graph that serialises to what was read. */
test('whatever is changed, what is read is what was written', () => {
  const values = [null, -1, 0, 1.5, 2 ** 40, '', 'relu', [], {}, true];
  const places: [object, string][] = [];
  const collect = (json: Json) => {
    for (const [key, value] of Object.entries(json)) {
      places.push([json, key]);
      if (typeof value === 'object' && value !== null) collect(value);
    }
  };
  const json = JSON.parse(serializeGraph(graph));
  collect(json);
  let accepted = 0;
  for (const [holder, key] of places) {
    const before = (holder as Json)[key];
    for (const value of values) {
      (holder as Json)[key] = value;
      const text = JSON.stringify(json);
      try {
        expect(JSON.parse(serializeGraph(parseGraph(text)))).toEqual(JSON.parse(text));
        accepted++;
      } catch (error) {
        if (!(error instanceof WeightsFormatError)) throw error;
      }
    }
    (holder as Json)[key] = before;
  }
  expect(places.length).toBeGreaterThan(300);
  expect(accepted).toBeLessThan(places.length);
});
