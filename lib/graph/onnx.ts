import { ResNetError } from '../errors.js';
import { checkOptions, invalid } from '../is.js';
import type { Graph, GraphNode } from './graph.js';
import { resolveNode } from './names.js';
import { type Dimension, modelMessage, nodeMessage, tensorMessage, valueMessage } from './onnx-messages.js';
import { type OnnxFile, onnxNodes } from './onnx-operators.js';
import { Message } from './onnx-protobuf.js';
import type { ParameterValues } from './parameters.js';
import { dequantizeWeight } from './quantize.js';
import { outputShape, type ValueShape } from './shapes.js';

export interface OnnxOptions {
  /** Nodes whose values the file gives, under these names. Default: `['logits']`. */
  readonly outputs?: readonly string[];
  /** Version of ONNX's operators: 13 or 17. Default: 17. */
  readonly opset?: 13 | 17;
}

const IR_VERSIONS = { 13: 7, 17: 8 } as const;
const INPUT = 'input';
// Protocol Buffers count a message's bytes in a signed int.
const MAX_BYTES = 2 ** 31 - 1;

/**
 * The network as a standard ONNX file, with float32 parameters (int8 weights times their scales) and nothing folded or
 * fused. Its input, `input`, is
 * float32 [batch, channels, height, width], already normalised; all of these but the channels are free.
 * @throws ResNetError `UNKNOWN_NODE` for outputs the network has not, `INVALID_ARGUMENT` for other options,
 * `UNSUPPORTED` for a network beyond the 2 GB that one ONNX file can hold.
 */
export function toOnnx(
  model: { readonly graph: Graph; readonly parameters: ReadonlyMap<string, ParameterValues> },
  options: OnnxOptions = {},
): Uint8Array {
  checkOptions('toOnnx', options, ['outputs', 'opset']);
  const { outputs = ['logits'], opset = 17 } = options;
  if (opset !== 13 && opset !== 17) throw invalid('opset', '13 or 17', opset);
  checkOutputs(outputs);
  const graph = new GraphWriter(model.graph, model.parameters, outputs).write();
  const file = modelMessage(graph, opset, IR_VERSIONS[opset]);
  if (file.length > MAX_BYTES) {
    throw new ResNetError(
      'UNSUPPORTED',
      `The network takes ${file.length} bytes as ONNX, and one file can hold at most ${MAX_BYTES}`,
    );
  }
  return file.encode();
}

function checkOutputs(outputs: readonly string[]): void {
  const good = Array.isArray(outputs) && outputs.length > 0 && new Set(outputs).size === outputs.length;
  if (!good) throw invalid('outputs', 'a list of different node names', outputs);
  if (outputs.includes(INPUT)) throw invalid('outputs', `names other than that of the file's input`, outputs);
}

/** Writes one file's GraphProto. ONNX has a single namespace for all tensors of a graph. */
class GraphWriter implements OnnxFile {
  readonly #message = new Message().text(2, 'resnet');
  readonly #taken: Set<string>;
  /** By graph node. */
  readonly #values = new Map<string, string>();
  readonly #shapes = new Map<string, ValueShape>();
  /** By state-dict key. */
  readonly #stored = new Map<string, string>();
  /** By state-dict key of an int8 weight. */
  readonly #weightScales: ReadonlyMap<string, string>;

  constructor(
    private readonly graph: Graph,
    private readonly parameters: ReadonlyMap<string, ParameterValues>,
    private readonly outputs: readonly string[],
  ) {
    this.#taken = new Set([INPUT, ...outputs]);
    this.#weightScales = new Map(
      graph.nodes.flatMap((node) =>
        'weightScale' in node && node.weightScale !== undefined ? [[node.weight, node.weightScale]] : [],
      ),
    );
  }

  write(): Message {
    for (const node of neededNodes(this.graph, this.outputs)) this.#writeNode(node);
    for (const name of this.outputs) this.#writeOutput(name);
    return this.#message;
  }

  value(node: string): string {
    return this.#values.get(node) as string;
  }

  parameter(key: string): string {
    const stored = this.#stored.get(key);
    if (stored !== undefined) return stored;
    const parameter = this.parameters.get(key);
    if (!parameter) throw new ResNetError('INVALID_ARGUMENT', `The model has no parameter ${key}`);
    const scale = this.#weightScales.get(key);
    const data = dequantizeWeight(parameter, scale === undefined ? undefined : this.parameters.get(scale));
    const name = this.#store(key, parameter.shape, data);
    this.#stored.set(key, name);
    return name;
  }

  constant(name: string, data: Float32Array | BigInt64Array): string {
    return this.#store(name, [data.length], data);
  }

  temporary(name: string): string {
    let unique = name;
    for (let i = 1; this.#taken.has(unique); i++) unique = `${name}_${i}`;
    this.#taken.add(unique);
    return unique;
  }

  #store(name: string, shape: readonly number[], data: Float32Array | BigInt64Array): string {
    const unique = this.temporary(name);
    this.#message.message(5, tensorMessage(unique, shape, data));
    return unique;
  }

  #writeNode(node: GraphNode): void {
    const inputs = node.inputs.map((input) => this.#shapes.get(input) as ValueShape);
    this.#shapes.set(node.name, outputShape(node, inputs));
    if (node.op === 'input') {
      this.#values.set(node.name, INPUT);
      this.#message.message(11, valueMessage(INPUT, ['batch', node.channels, 'height', 'width']));
      return;
    }
    this.#values.set(node.name, this.outputs.includes(node.name) ? node.name : this.temporary(node.name));
    const channels = inputs[0]?.kind === 'map' ? inputs[0].channels : 0;
    for (const onnxNode of onnxNodes(node, channels, this)) this.#message.message(1, nodeMessage(onnxNode));
  }

  #writeOutput(name: string): void {
    const node = resolveNode(this.graph, name);
    const value = this.value(node);
    if (value !== name) {
      this.#message.message(1, nodeMessage({ type: 'Identity', name, inputs: [value], output: name }));
    }
    const shape = this.#shapes.get(node) as ValueShape;
    this.#message.message(12, valueMessage(name, dimensions(name, shape)));
  }
}

/** Sizes that only a run knows have names of their own, which say nothing about each other. */
function dimensions(name: string, shape: ValueShape): Dimension[] {
  if (shape.kind === 'rows') return ['batch', shape.features ?? `${name}.features`];
  return ['batch', shape.channels, ...(shape.pixel ? [1, 1] : [`${name}.height`, `${name}.width`])];
}

/** The nodes that `outputs` are computed from, in the graph's order. */
function neededNodes(graph: Graph, outputs: readonly string[]): GraphNode[] {
  const needed = new Set(outputs.map((name) => resolveNode(graph, name)));
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!needed.has(node.name)) return false;
    for (const input of node.inputs) needed.add(input);
    return true;
  });
  return nodes.reverse();
}
