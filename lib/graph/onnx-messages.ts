import { Message } from './onnx-protobuf.js';

// The messages of onnx.proto (version 1) that a network of ours is made of. The numbers are the fields' and enums' own.

const FLOAT = 1;
const INT64 = 7;

/** A size that is known, or the name of one that each run brings. */
export type Dimension = number | string;

export type Attribute = number | readonly number[] | { readonly float: number };

export interface OnnxNode {
  readonly type: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** TensorProto. The data is not copied before the file is encoded. */
export function tensorMessage(
  name: string,
  shape: readonly number[],
  data: Float32Array | BigInt64Array,
): Message {
  const tensor = new Message();
  for (const size of shape) tensor.integer(1, size);
  tensor.integer(2, data instanceof Float32Array ? FLOAT : INT64).text(8, name);
  return tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** NodeProto. */
export function nodeMessage({ type, name, inputs, output, attributes = {} }: OnnxNode): Message {
  const node = new Message();
  for (const input of inputs) node.text(1, input);
  node.text(2, output).text(3, name).text(4, type);
  for (const [key, value] of Object.entries(attributes)) node.message(5, attributeMessage(key, value));
  return node;
}

/** AttributeProto: an INT, a list of INTS or a FLOAT. */
function attributeMessage(name: string, value: Attribute): Message {
  const attribute = new Message().text(1, name);
  if (typeof value === 'number') return attribute.integer(3, value).integer(20, 2);
  if ('float' in value) return attribute.float(2, value.float).integer(20, 1);
  for (const item of value) attribute.integer(8, item);
  return attribute.integer(20, 7);
}

/** ValueInfoProto of a float32 tensor. */
export function valueMessage(name: string, shape: readonly Dimension[]): Message {
  const dimensions = new Message();
  for (const size of shape) {
    const dimension = new Message();
    dimensions.message(1, typeof size === 'number' ? dimension.integer(1, size) : dimension.text(2, size));
  }
  const tensorType = new Message().integer(1, FLOAT).message(2, dimensions);
  return new Message().text(1, name).message(2, new Message().message(1, tensorType));
}

/** ModelProto. */
export function modelMessage(graph: Message, opset: number, irVersion: number): Message {
  const operatorSet = new Message().text(1, '').integer(2, opset);
  return new Message()
    .integer(1, irVersion)
    .text(2, 'resnet-native')
    .message(7, graph)
    .message(8, operatorSet);
}
