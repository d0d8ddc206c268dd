import { ResNetError } from '../errors.js';
import type { BatchNormNode, Conv2dNode, GraphNode, MaxPool2dNode, ZeroPadShortcutNode } from './graph.js';
import type { OnnxNode } from './onnx-messages.js';

// Each operation of the graph in ONNX's operators, which opsets 13 to 17 define alike for what is used of them.

/** What translating a node asks of the file around it. */
export interface OnnxFile {
  /** The tensor that holds the value of a graph node. */
  value(node: string): string;
  /** The tensor that holds a parameter. */
  parameter(key: string): string;
  /** A tensor of constants, for the node of that name. */
  constant(name: string, data: Float32Array | BigInt64Array): string;
  /** A name for a value between two operators that make up one node. */
  temporary(name: string): string;
}

/** The operators that compute `node`. `channels` are those of its first input, where that is a feature map. */
export function onnxNodes(node: GraphNode, channels: number, file: OnnxFile): OnnxNode[] {
  const inputs = node.inputs.map((input) => file.value(input));
  const one = (type: string, attributes?: OnnxNode['attributes'], parameters: readonly string[] = []) => [
    {
      type,
      name: node.name,
      inputs: [...inputs, ...parameters],
      output: file.value(node.name),
      ...(attributes && { attributes }),
    },
  ];
  switch (node.op) {
    case 'conv2d':
      return one('Conv', convAttributes(node), weightAndBias(node, file));
    case 'batch_norm':
      return one('BatchNormalization', { epsilon: { float: node.eps } }, batchNormParameters(node, file));
    case 'relu':
      return one('Relu');
    case 'max_pool2d':
      return one('MaxPool', windowAttributes(node));
    case 'global_avg_pool':
      return one('GlobalAveragePool');
    case 'flatten':
      return one('Flatten', { axis: 1 });
    case 'linear':
      return one('Gemm', { transB: 1 }, weightAndBias(node, file));
    case 'add':
      return one('Add');
    case 'normalize':
      // float32 input, which is what the file takes, passes unchanged.
      return one('Identity');
    case 'zero_pad_shortcut':
      return zeroPadShortcut(node, channels, file);
    case 'input':
      throw new ResNetError('INTERNAL', `${node.name} is the input and no operator`);
  }
}

function windowAttributes({ kernelSize, stride, padding, dilation }: Conv2dNode | MaxPool2dNode) {
  return {
    kernel_shape: kernelSize,
    strides: stride,
    pads: [...padding, ...padding],
    dilations: dilation,
  };
}

function convAttributes(node: Conv2dNode) {
  return { ...windowAttributes(node), group: node.groups };
}

function weightAndBias(node: { weight: string; bias?: string }, file: OnnxFile): string[] {
  const keys = node.bias === undefined ? [node.weight] : [node.weight, node.bias];
  return keys.map((key) => file.parameter(key));
}

/** ONNX's batch norm always has a scale and a shift. */
function batchNormParameters(node: BatchNormNode, file: OnnxFile): string[] {
  const filled = (name: string, value: number) =>
    file.constant(`${node.name}.${name}`, new Float32Array(node.features).fill(value));
  return [
    node.weight === undefined ? filled('ones', 1) : file.parameter(node.weight),
    node.bias === undefined ? filled('zeros', 0) : file.parameter(node.bias),
    file.parameter(node.runningMean),
    file.parameter(node.runningVar),
  ];
}

/** x[:, :, ::stride, ::stride] by Slice, channels of zeros by Pad. */
function zeroPadShortcut(node: ZeroPadShortcutNode, channels: number, file: OnnxFile): OnnxNode[] {
  const integers = (name: string, ...values: number[]) =>
    file.constant(`${node.name}.${name}`, BigInt64Array.from(values, BigInt));
  const sliced = file.temporary(`${node.name}.sliced`);
  const wholeAxis = 2 ** 31 - 1;
  return [
    {
      type: 'Slice',
      name: `${node.name}.slice`,
      inputs: [
        file.value(node.inputs[0] as string),
        integers('starts', 0, 0),
        integers('ends', wholeAxis, wholeAxis),
        integers('axes', 2, 3),
        integers('steps', node.stride, node.stride),
      ],
      output: sliced,
    },
    {
      type: 'Pad',
      name: node.name,
      inputs: [sliced, integers('pads', 0, 0, 0, 0, 0, node.outChannels - channels, 0, 0)],
      output: file.value(node.name),
    },
  ];
}
