import { show } from '../../is.js';
import { bytesOf } from '../protocol/bytes.js';
import type { InferRequest, OutputTensor } from '../protocol/infer.js';
import type { InputTensor } from '../protocol/tensors.js';
import { badRequest } from '../request-error.js';
import type { ServedModel } from '../served-model.js';

// gRPC's messages as they come and go, with field names as in the protocol.

/** Has one of `bool_param`, `int64_param`, `string_param` and so on. */
type Parameter = Readonly<Record<string, unknown>>;

type Parameters = Readonly<Record<string, Parameter>>;

/** To load or unload a model. */
export interface ChangeRequest {
  readonly model_name: string;
  readonly parameters: Parameters;
}

export interface NamedRequest {
  readonly name: string;
  readonly version: string;
}

export interface ModelInferRequest {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: Parameters;
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
    readonly parameters: Parameters;
    readonly contents: { readonly fp32_contents: number[]; readonly uint_contents: number[] } | null;
  }[];
  readonly outputs: readonly { readonly name: string; readonly parameters: Parameters }[];
  readonly raw_input_contents: readonly Buffer[];
}

/** @throws RequestError 400. */
export function readInferRequest(request: ModelInferRequest): InferRequest {
  const raw = request.raw_input_contents;
  if (raw.length > 0 && raw.length !== request.inputs.length) {
    throw badRequest(`There are ${request.inputs.length} inputs but ${raw.length} raw_input_contents`);
  }
  const inputs = request.inputs.map((input, i): InputTensor => {
    refuseSharedMemory(input.parameters);
    const { name, datatype, shape, contents } = input;
    if (contents && raw.length > 0)
      throw badRequest(`${show(name)} has contents, but there are raw_input_contents: send one of them`);
    const typed = datatype === 'UINT8' ? contents?.uint_contents : contents?.fp32_contents;
    return { name, datatype, shape, data: raw[i] ?? typed ?? [] };
  });
  const outputs = request.outputs.map(({ name, parameters }) => {
    refuseSharedMemory(parameters);
    const classification = integer(parameters.classification);
    if (classification > 1000)
      throw badRequest(`Expected at most 1000 classes but received ${classification}`);
    return { name, classification };
  });
  return { inputs, outputs, timeout: integer(request.parameters.timeout) };
}

function integer(parameter: Parameter | undefined): number {
  const value = parameter === undefined ? 0 : (parameter.int64_param ?? parameter.uint64_param);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw badRequest(`Expected a parameter that is an integer of at least 0 but received ${show(value)}`);
}

function refuseSharedMemory(parameters: Parameters): void {
  if (!('shared_memory_region' in parameters)) return;
  throw badRequest('Shared memory is not supported: send tensors in the message');
}

/** What the values of a request take, as far as they are large. */
export function tensorBytes({ inputs, raw_input_contents: raw }: ModelInferRequest): number {
  const typed = inputs.flatMap(({ contents }) => [contents?.fp32_contents, contents?.uint_contents]);
  // Of a number, in an array of them.
  const numbers = typed.reduce((sum, values) => sum + 8 * (values?.length ?? 0), 0);
  return raw.reduce((sum, { length }) => sum + length, numbers);
}

export function inferResponse(model: ServedModel, id: string, outputs: readonly OutputTensor[]) {
  return {
    model_name: model.name,
    model_version: model.version,
    id,
    outputs: outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
    raw_output_contents: outputs.map(bytesOf),
  };
}
