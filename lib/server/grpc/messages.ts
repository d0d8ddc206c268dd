import { bytesOf } from '../protocol/bytes.js';
import type { InferRequest, OutputTensor } from '../protocol/infer.js';
import type { InputTensor } from '../protocol/tensors.js';
import { badRequest } from '../request-error.js';
import type { ServedModel } from '../served-model.js';

// gRPC's messages as they come and go, with field names as in the protocol.

interface Parameter {
  readonly int64_param?: number;
  readonly uint64_param?: number;
}

type Parameters = Readonly<Record<string, Parameter>>;

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
  const value = parameter?.int64_param ?? parameter?.uint64_param ?? 0;
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw badRequest(`Expected a parameter that is an integer of at least 0 but received ${value}`);
}

function refuseSharedMemory(parameters: Parameters): void {
  if (!('shared_memory_region' in parameters)) return;
  throw badRequest('Shared memory is not supported: send tensors in the message');
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
