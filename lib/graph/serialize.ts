import { ResNetError, WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import type { Graph, GraphNode } from './graph.js';
import { nodeParameters } from './parameters.js';
import { optional, type Reader, readJson, readName, readNumber, readObject, unexpected } from './readers.js';
import { OPERATIONS } from './schema.js';
import { outputShape, type ValueShape } from './shapes.js';

// The graph as text in a weights file's metadata. What comes from a file is hostile until parseGraph has passed it.

const MAX_NODES = 20_000;
const [MIN_SCALE, MAX_SCALE] = [1e-30, 1e30];

export function serializeGraph(graph: Graph): string {
  return JSON.stringify(graph);
}

/**
 * The graph that `serializeGraph` wrote. Everything is checked: operations and their fields, the order of nodes, names,
 * ranges, shapes as far as they follow from the graph, aliases.
 * @throws WeightsFormatError
 */
export function parseGraph(text: string): Graph {
  const { version, nodes, aliases } = readObject(readJson(text, 'the graph'), 'the graph', [
    'version',
    'nodes',
    'aliases',
  ]);
  if (version !== 1)
    throw unexpected('the version of the graph', '1 (newer ones need a newer release)', version);
  if (!Array.isArray(nodes) || nodes.length === 0 || nodes.length > MAX_NODES) {
    throw unexpected('the nodes of the graph', `a list of 1 to ${MAX_NODES}`, nodes);
  }
  const parsed = readNodes(nodes);
  return { version: 1, nodes: parsed, aliases: readAliases(aliases, parsed) };
}

function readNodes(values: readonly unknown[]): GraphNode[] {
  const shapes = new Map<string, ValueShape>();
  const tensors = new Map<string, string>();
  return values.map((value, index) => {
    const node = readNode(value, `node ${index} of the graph`);
    if ((node.op === 'input') !== (index === 0)) {
      throw new WeightsFormatError('The first node of the graph, and no other, must be the input');
    }
    if (shapes.has(node.name)) throw new WeightsFormatError(`Two nodes have the name ${show(node.name)}`);
    shapes.set(node.name, shapeOf(node, shapes));
    checkTensors(node, tensors);
    return node;
  });
}

function readNode(value: unknown, what: string): GraphNode {
  const op = readObject(value, what).op;
  if (typeof op !== 'string' || !Object.hasOwn(OPERATIONS, op)) {
    throw unexpected(`the operation of ${what}`, `one of ${Object.keys(OPERATIONS).join(', ')}`, op);
  }
  const { inputs: inputCount, fields } = OPERATIONS[op as GraphNode['op']];
  const raw = readObject(value, what, ['name', 'op', 'inputs', 'scale', ...Object.keys(fields)]);
  const name = readName(raw.name, `the name of ${what}`);
  if (!Array.isArray(raw.inputs) || raw.inputs.length !== inputCount) {
    throw unexpected(`the inputs of ${name}`, `a list of ${inputCount}`, raw.inputs);
  }
  const inputs = raw.inputs.map((input) => readName(input, `an input of ${name}`));
  const node: Record<string, unknown> = { name, op, inputs };
  for (const [field, read] of Object.entries(fields) as [string, Reader<unknown>][]) {
    const parsed = read(raw[field], `${field} of ${name}`);
    if (parsed !== undefined) node[field] = parsed;
  }
  const scale = optional(readScale)(raw.scale, `scale of ${name}`);
  if (scale !== undefined) node.scale = scale;
  return node as unknown as GraphNode;
}

/** Of int8: what float32 can hold and divide by. */
function readScale(value: unknown, what: string): number {
  const scale = readNumber(value, what);
  if (scale >= MIN_SCALE && scale <= MAX_SCALE) return scale;
  throw unexpected(what, `a number from ${MIN_SCALE} to ${MAX_SCALE}`, value);
}

/** Checks what no field shows alone: that inputs come earlier, and that the node fits them. */
function shapeOf(node: GraphNode, earlier: ReadonlyMap<string, ValueShape>): ValueShape {
  const inputs = node.inputs.map((input) => {
    const shape = earlier.get(input);
    if (!shape) throw new WeightsFormatError(`${node.name} reads ${show(input)}, which is no earlier node`);
    return shape;
  });
  if (node.op === 'conv2d' && (node.inChannels % node.groups || node.outChannels % node.groups)) {
    throw unexpected(`the groups of ${node.name}`, 'a divisor of its channels', node.groups);
  }
  if (node.op === 'normalize' && node.mean.length !== node.std.length) {
    throw unexpected(`std of ${node.name}`, `${node.mean.length} numbers`, node.std);
  }
  try {
    return outputShape(node, inputs);
  } catch (error) {
    if (!(error instanceof ResNetError)) throw error;
    throw new WeightsFormatError(`The graph in the metadata is broken: ${error.message}`, { cause: error });
  }
}

/** Two nodes may share a tensor, but not read it in two shapes or dtypes. */
function checkTensors(node: GraphNode, read: Map<string, string>): void {
  for (const [key, shape, dtype] of nodeParameters(node)) {
    if (key === undefined) continue;
    const found = `${dtype} [${shape}]`;
    const expected = read.get(key) ?? found;
    if (expected !== found) throw unexpected(`the dtype and shape of ${key}`, expected, found);
    read.set(key, expected);
  }
}

function readAliases(value: unknown, nodes: readonly GraphNode[]): Record<string, string> {
  const names = new Set(nodes.map((node) => node.name));
  const aliases = readObject(value, 'the aliases of the graph');
  if (!Object.hasOwn(aliases, 'logits') && !names.has('logits')) {
    throw new WeightsFormatError('The graph does not say which node its logits are');
  }
  const entries = Object.entries(aliases).map(([key, target]) => {
    const alias = readName(key, 'an alias');
    if (names.has(alias)) throw new WeightsFormatError(`The alias ${show(alias)} is the name of a node`);
    if (typeof target === 'string' && names.has(target)) return [alias, target] as const;
    throw unexpected(`the alias ${show(alias)}`, 'the name of a node', target);
  });
  return Object.fromEntries(entries);
}
