// A reader of Protocol Buffers of its own, so that a fault of the writer cannot hide itself, and ONNX's messages in it.

/** The values of each field by number, in order: integers, or the bytes of what has a length or is a fixed32. */
type Fields = Map<number, (bigint | Uint8Array)[]>;

export interface ReadTensor {
  readonly name: string;
  readonly shape: number[];
  readonly data: Float32Array | BigInt64Array;
}

export interface ReadNode {
  readonly type: string;
  readonly name: string;
  readonly inputs: string[];
  readonly outputs: string[];
  readonly attributes: Record<string, number | number[]>;
}

export interface ReadValue {
  readonly name: string;
  readonly shape: (number | string)[];
}

export interface ReadModel {
  readonly irVersion: number;
  readonly opset: number;
  readonly nodes: ReadNode[];
  readonly initializers: Map<string, ReadTensor>;
  readonly inputs: ReadValue[];
  readonly outputs: ReadValue[];
}

export function readOnnx(file: Uint8Array): ReadModel {
  const model = readFields(file);
  const graph = readFields(one(model, 7));
  const initializers = messages(graph, 5).map(readTensor);
  return {
    irVersion: integer(model, 1),
    opset: integer(readFields(one(model, 8)), 2),
    nodes: messages(graph, 1).map(readNode),
    initializers: new Map(initializers.map((tensor) => [tensor.name, tensor])),
    inputs: messages(graph, 11).map(readValue),
    outputs: messages(graph, 12).map(readValue),
  };
}

function readNode(fields: Fields): ReadNode {
  const attributes = messages(fields, 5).map((attribute): [string, number | number[]] => {
    const type = integer(attribute, 20);
    const float = () => new DataView(one(attribute, 2).slice().buffer).getFloat32(0, true);
    const value = type === 1 ? float() : type === 2 ? integer(attribute, 3) : integers(attribute, 8);
    return [text(attribute, 1), value];
  });
  return {
    type: text(fields, 4),
    name: text(fields, 3),
    inputs: texts(fields, 1),
    outputs: texts(fields, 2),
    attributes: Object.fromEntries(attributes),
  };
}

function readTensor(fields: Fields): ReadTensor {
  const { buffer } = one(fields, 9).slice();
  const data = integer(fields, 2) === 1 ? new Float32Array(buffer) : new BigInt64Array(buffer);
  return { name: text(fields, 8), shape: integers(fields, 1), data };
}

function readValue(fields: Fields): ReadValue {
  const tensorType = readFields(one(readFields(one(fields, 2)), 1));
  const dimensions = messages(readFields(one(tensorType, 2)), 1);
  const shape = dimensions.map((size) => (size.has(1) ? integer(size, 1) : text(size, 2)));
  return { name: text(fields, 1), shape };
}

function readFields(bytes: Uint8Array): Fields {
  const fields: Fields = new Map();
  let offset = 0;
  const take = (length: number) => {
    if (offset + length > bytes.length) throw new Error('The message ends inside a field');
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  const varint = () => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const [byte = 0] = take(1);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (offset < bytes.length) {
    const tag = Number(varint());
    const wireType = tag % 8;
    if (wireType !== 0 && wireType !== 2 && wireType !== 5) throw new Error(`Wire type ${wireType}`);
    const value = wireType === 0 ? varint() : take(wireType === 5 ? 4 : Number(varint()));
    const field = Math.floor(tag / 8);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

function one(fields: Fields, field: number): Uint8Array {
  const values = fields.get(field) ?? [];
  if (values.length !== 1) throw new Error(`Expected one value of field ${field} but found ${values.length}`);
  return values[0] as Uint8Array;
}

function messages(fields: Fields, field: number): Fields[] {
  return (fields.get(field) ?? []).map((bytes) => readFields(bytes as Uint8Array));
}

function integer(fields: Fields, field: number): number {
  return Number(one(fields, field));
}

function integers(fields: Fields, field: number): number[] {
  return (fields.get(field) ?? []).map(Number);
}

function text(fields: Fields, field: number): string {
  return new TextDecoder().decode(one(fields, field));
}

function texts(fields: Fields, field: number): string[] {
  return (fields.get(field) ?? []).map((bytes) => new TextDecoder().decode(bytes as Uint8Array));
}
