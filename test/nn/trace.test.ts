import { describe, expect, test } from 'vitest';
import type { Graph } from '../../lib/graph/graph.js';
import { graphNodeNames, resolveNode } from '../../lib/graph/names.js';
import type { Value } from '../../lib/graph/value.js';
import * as nn from '../../lib/nn/index.js';
import { trace } from '../../lib/nn/trace.js';

const { add, flatten, relu } = nn;

/** A module of the properties given whose forward is the function given, with the module as `m`. */
function module<T extends object>(parts: T, forward: (x: Value, m: T) => unknown): nn.Module & T {
  class Custom extends nn.Module {
    override forward(x: Value): Value {
      return forward(x, this as unknown as T) as Value;
    }
  }
  return Object.assign(new Custom(), parts);
}

const traced = (root: nn.Module) => trace(root, { channels: 3 });
const names = (root: nn.Module) => graphNodeNames({ graph: traced(root) });
const conv = (inChannels = 3, outChannels = 3) => new nn.Conv2d(inChannels, outChannels, 1);

/** Each node as `name <- inputs`. */
const edges = (graph: Graph) => graph.nodes.map((node) => `${node.name} <- ${node.inputs.join(' ')}`.trim());

describe('nodes', () => {
  test('carry what native code needs', () => {
    const layers = new nn.Sequential(
      new nn.Conv2d(3, 4, [3, 1], { stride: [2, 1], padding: [1, 0], dilation: 2 }),
      new nn.BatchNorm2d(4, { eps: 1e-3 }),
      new nn.MaxPool2d(3, { stride: 2, padding: 1 }),
      new nn.AdaptiveAvgPool2d(),
      new nn.Flatten(),
      new nn.Linear(4, 2, { bias: false }),
    );
    expect(traced(layers).nodes).toEqual([
      { name: 'x', op: 'input', inputs: [], channels: 3 },
      {
        name: '0',
        op: 'conv2d',
        inputs: ['x'],
        inChannels: 3,
        outChannels: 4,
        kernelSize: [3, 1],
        stride: [2, 1],
        padding: [1, 0],
        dilation: [2, 2],
        groups: 1,
        weight: '0.weight',
        bias: '0.bias',
      },
      {
        name: '1',
        op: 'batch_norm',
        inputs: ['0'],
        features: 4,
        eps: 1e-3,
        weight: '1.weight',
        bias: '1.bias',
        runningMean: '1.running_mean',
        runningVar: '1.running_var',
      },
      {
        name: '2',
        op: 'max_pool2d',
        inputs: ['1'],
        kernelSize: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        dilation: [1, 1],
      },
      { name: '3', op: 'global_avg_pool', inputs: ['2'] },
      { name: '4', op: 'flatten', inputs: ['3'] },
      { name: '5', op: 'linear', inputs: ['4'], inFeatures: 4, outFeatures: 2, weight: '5.weight' },
    ]);
  });

  test('a shortcut joins where it is added', () => {
    const block = module({ a: conv(), b: conv() }, (x, m) => add(m.b.forward(m.a.forward(x)), x));
    expect(edges(traced(block))).toEqual(['x <-', 'a <- x', 'b <- a', 'add <- b x']);
  });
});

// The expected names are those of torchvision 0.26's get_graph_node_names for the same modules in torch, without the
// nodes it makes of Identity and of parameters that a function reads: nothing is computed there.
describe("torchvision's names", () => {
  test('a module called again gets a number within its parent', () => {
    const block = module({ relu: new nn.ReLU(), conv: conv() }, (x, m) =>
      m.relu.forward(m.relu.forward(m.conv.forward(m.relu.forward(x)))),
    );
    expect(names(new nn.Sequential(block, block))).toEqual([
      ...['x', '0.relu', '0.conv', '0.relu_1', '0.relu_2'],
      ...['0.relu_3', '0.conv_1', '0.relu_4', '0.relu_5'],
    ]);
  });

  test('functions are named in the module that calls them, apart from its submodules', () => {
    const inner = module({ relu: new nn.ReLU() }, (x, m) => relu(relu(m.relu.forward(x))));
    const outer = module({ inner }, (x, m) => flatten(add(relu(m.inner.forward(x)), x)));
    expect(names(outer)).toEqual([
      'x',
      'inner.relu',
      'inner.relu_1',
      'inner.relu_2',
      'relu',
      'add',
      'flatten',
    ]);
  });

  test("a number at the end of an attribute's name is dropped, as there", () => {
    const parts = { conv_1: conv(), conv_2: conv(), bn_7a: new nn.BatchNorm2d(3) };
    const root = module(parts, (x, m) => m.bn_7a.forward(m.conv_2.forward(m.conv_1.forward(x))));
    expect(names(root)).toEqual(['x', 'conv', 'conv_1', 'bn_7a']);
  });

  test('an attribute named x comes after the input', () => {
    expect(names(module({ x: conv() }, (x, m) => m.x.forward(x)))).toEqual(['x', 'x_1']);
  });

  test('a layer with a forward of its own is a module like others', () => {
    class Activated extends nn.Conv2d {
      override forward(x: Value): Value {
        return relu(super.forward(x));
      }
    }
    const graph = traced(module({ conv: new Activated(3, 3, 1) }, (x, m) => m.conv.forward(x)));
    expect(graphNodeNames({ graph })).toEqual(['x', 'conv.conv2d', 'conv.relu']);
    expect(graph.nodes[1]).toMatchObject({ op: 'conv2d', weight: 'conv.weight' });
    expect(resolveNode(graph, 'conv')).toBe('conv.relu');
  });
});

describe('aliases', () => {
  test('a module stands for the last node inside it, Identity for what it was given', () => {
    const inner = module({ a: conv(), skip: new nn.Identity() }, (x, m) => {
      const out = m.a.forward(x);
      relu(out);
      return m.skip.forward(out);
    });
    const graph = traced(module({ inner, unused: conv() }, (x, m) => m.inner.forward(x)));
    expect(graph.aliases).toEqual({ inner: 'inner.relu', 'inner.skip': 'inner.a', logits: 'inner.a' });
  });

  test('no alias hides a node', () => {
    const logits = new nn.Sequential(new nn.AdaptiveAvgPool2d(), new nn.Flatten(), new nn.Linear(3, 2));
    expect(traced(module({ logits }, (x, m) => m.logits.forward(x))).aliases).toEqual({ logits: 'logits.2' });
    const head = new nn.Linear(3, 2);
    const root = module({ logits: head }, (x, m) => m.logits.forward(flatten(new nn.Identity().forward(x))));
    expect(traced(root).aliases).toEqual({});
    expect(resolveNode(traced(root), 'logits')).toBe('logits');
  });

  test('unknown names are refused with the nearest there is', () => {
    const graph = traced(module({ layer1: new nn.Sequential(conv()) }, (x, m) => m.layer1.forward(x)));
    const code = expect.objectContaining({ code: 'UNKNOWN_NODE' });
    expect(() => resolveNode(graph, 'layer_1')).toThrow(code);
    expect(() => resolveNode(graph, 'layer_1')).toThrow('no node "layer_1" (did you mean "layer1"?)');
    for (const name of ['constructor', '__proto__', 'toString', '']) {
      expect(() => resolveNode(graph, name)).toThrow(code);
    }
    expect(() => resolveNode(graph, 3 as unknown as string)).toThrow(
      /a string for a node name but received 3/,
    );
  });
});

describe('a trace leaves no trace', () => {
  const own = (root: nn.Module) =>
    [...root.namedModules()].map(([, member]) => Object.getOwnPropertyDescriptors(member));

  test('modules are as before, also after an error, also with a forward of their own', () => {
    const arrow = conv();
    Object.assign(arrow, { forward: (x: Value) => relu(x) });
    const good = module({ a: new nn.Sequential(conv(), arrow) }, (x, m) => m.a.forward(x));
    const bad = module({ a: new nn.Sequential(conv(), conv()) }, (x, m) => {
      m.a.forward(x);
      throw new RangeError('mine');
    });
    const before = [own(good), own(bad)];
    expect(names(good)).toEqual(['x', 'a.0', 'a.1.relu']);
    expect(() => traced(bad)).toThrow(RangeError);
    expect([own(good), own(bad)]).toEqual(before);
    expect(names(good)).toEqual(['x', 'a.0', 'a.1.relu']);
  });

  test('a trace inside a trace, of the same modules, disturbs neither', () => {
    let inside: Graph | undefined;
    const shared = new nn.Sequential(conv(), new nn.ReLU());
    const root = module({ shared }, (x, m) => {
      const out = m.shared.forward(x);
      inside = trace(m.shared, { channels: 3 });
      return m.shared.forward(out);
    });
    expect(names(root)).toEqual(['x', 'shared.0', 'shared.1', 'shared.0_1', 'shared.1_1']);
    expect(inside && edges(inside)).toEqual(['x <-', '0 <- x', '1 <- 0']);
  });
});
