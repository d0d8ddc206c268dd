import { show } from '../../is.js';
import type { InferRequest, WantedOutput } from '../protocol/infer.js';
import type { InputTensor } from '../protocol/tensors.js';
import { badRequest } from '../request-error.js';

// The body of an inference request: JSON, behind which, with the binary tensor extension, lie the bytes of inputs in
// the order in which the JSON names them. The header Inference-Header-Content-Length says where the JSON ends.

/** How a request wants its answer. */
export interface ReplyForm {
  readonly id: string | undefined;
  /** Outputs to be sent as bytes. */
  readonly binaryOutputs: (name: string) => boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** The most classes an image can be asked to get. */
const MAX_CLASSES = 1000;

/** @throws RequestError 400. */
export function parseInferBody(
  body: Buffer,
  headerLength: string | undefined,
): { asked: InferRequest; form: ReplyForm } {
  const jsonLength = headerLength === undefined ? body.length : readLength(headerLength, body.length);
  const json = readJson(body.subarray(0, jsonLength));
  const parameters = optionalFields(json.parameters, 'parameters');
  const inputs = readInputs(json.inputs, body.subarray(jsonLength));
  const outputs = json.outputs === undefined ? [] : list(json.outputs, 'outputs').map(readOutput);
  const binary = new Map(outputs.map(({ name, binary }) => [name, binary]));
  const allBinary = parameters.binary_data_output === true;
  const asked = {
    inputs,
    outputs,
    timeout:
      parameters.timeout === undefined ? 0 : integer(parameters.timeout, 'timeout', Number.MAX_SAFE_INTEGER),
  };
  const id = json.id === undefined ? undefined : text(json.id, 'id');
  return { asked, form: { id, binaryOutputs: (name) => binary.get(name) ?? allBinary } };
}

/** Whether a request for the index wants only what is ready. @throws RequestError 400. */
export function readIndexBody(body: unknown): boolean {
  const { ready = false } = readOptionalJson(body);
  if (typeof ready === 'boolean') return ready;
  throw unexpected('true or false', 'ready', ready);
}

/** The parameters of a request to load a model. @throws RequestError 400. */
export function readLoadBody(body: unknown): object {
  return optionalFields(readOptionalJson(body).parameters, 'parameters');
}

function readOptionalJson(body: unknown): Fields {
  return Buffer.isBuffer(body) && body.length > 0 ? readJson(body) : {};
}

function readLength(header: string, available: number): number {
  const length = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (length <= available) return length;
  throw badRequest(
    `Expected Inference-Header-Content-Length to be at most ${available}, the length of the body, ` +
      `but received ${show(header)}`,
  );
}

function readJson(bytes: Buffer): Fields {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw badRequest(`The body is not JSON: ${(error as Error).message}`);
  }
  return fields(value, 'the body');
}

function readInputs(value: unknown, binary: Buffer): InputTensor[] {
  let offset = 0;
  const inputs = list(value, 'inputs').map((input) => {
    const { name, datatype, shape, parameters, data } = fields(input, 'an input');
    const { binary_data_size: size, ...others } = optionalFields(parameters, 'parameters of an input');
    refuseSharedMemory(others);
    const head = {
      name: text(name, 'the name of an input'),
      datatype: text(datatype, 'the datatype of an input'),
      shape: list(shape, 'the shape of an input') as number[],
    };
    if (size === undefined) return { ...head, data: list(data, `the data of ${show(name)}`) };
    if (data !== undefined) throw badRequest(`${show(name)} has both data and binary_data_size`);
    const start = offset;
    offset += integer(size, 'binary_data_size', binary.length - start);
    return { ...head, data: binary.subarray(start, offset) };
  });
  if (offset !== binary.length) {
    throw badRequest(`The inputs take ${offset} bytes of binary data but received ${binary.length}`);
  }
  return inputs;
}

function readOutput(value: unknown): WantedOutput & { binary: boolean | undefined } {
  const { name, parameters } = fields(value, 'an output');
  const {
    classification,
    binary_data: binary,
    ...others
  } = optionalFields(parameters, 'parameters of an output');
  refuseSharedMemory(others);
  if (binary !== undefined && typeof binary !== 'boolean')
    throw unexpected('true or false', 'binary_data', binary);
  return {
    name: text(name, 'the name of an output'),
    classification: classification === undefined ? 0 : integer(classification, 'classification', MAX_CLASSES),
    binary,
  };
}

function refuseSharedMemory(parameters: Fields): void {
  if (!('shared_memory_region' in parameters)) return;
  throw badRequest('Shared memory is not supported: send tensors in the body, as binary data or JSON');
}

function unexpected(expected: string, what: string, received: unknown) {
  return badRequest(`Expected ${expected} for ${what} but received ${show(received)}`);
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw unexpected('an object', what, value);
}

function optionalFields(value: unknown, what: string): Fields {
  return value === undefined ? {} : fields(value, what);
}

function list(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw unexpected('an array', what, value);
}

function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw unexpected('a string', what, value);
}

function integer(value: unknown, what: string, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max)
    return value as number;
  throw unexpected(`an integer from 0 to ${max}`, what, value);
}
