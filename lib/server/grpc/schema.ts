// The messages and methods of the Open Inference Protocol's gRPC service, as protobuf.js describes them in JSON.

type Field = {
  readonly id: number;
  readonly type: string;
  readonly rule?: 'repeated';
  readonly keyType?: 'string';
};

const field = (id: number, type = 'string'): Field => ({ id, type });
const list = (id: number, type = 'string'): Field => ({ id, type, rule: 'repeated' });
const parameters = (id: number): Field => ({ id, type: 'InferParameter', keyType: 'string' });
const message = (fields: Readonly<Record<string, Field>>, nested?: object) => ({
  fields,
  ...(nested && { nested }),
});
const method = (name: string) => ({ requestType: `${name}Request`, responseType: `${name}Response` });

const choices = {
  bool_param: field(1, 'bool'),
  int64_param: field(2, 'int64'),
  string_param: field(3),
  double_param: field(4, 'double'),
  uint64_param: field(5, 'uint64'),
};

const tensor = { name: field(1), datatype: field(2), shape: list(3, 'int64') };
const tensorWithContents = {
  ...tensor,
  parameters: parameters(4),
  contents: field(5, 'InferTensorContents'),
};
const named = { name: field(1), version: field(2) };
const change = { repository_name: field(1), model_name: field(2), parameters: parameters(3) };

const METHODS = [
  'ServerLive',
  'ServerReady',
  'ServerMetadata',
  'ModelReady',
  'ModelMetadata',
  'ModelInfer',
  'RepositoryIndex',
  'RepositoryModelLoad',
  'RepositoryModelUnload',
];

const inference = {
  GRPCInferenceService: { methods: Object.fromEntries(METHODS.map((name) => [name, method(name)])) },
  ServerLiveRequest: message({}),
  ServerLiveResponse: message({ live: field(1, 'bool') }),
  ServerReadyRequest: message({}),
  ServerReadyResponse: message({ ready: field(1, 'bool') }),
  ServerMetadataRequest: message({}),
  ServerMetadataResponse: message({ name: field(1), version: field(2), extensions: list(3) }),
  ModelReadyRequest: message(named),
  ModelReadyResponse: message({ ready: field(1, 'bool') }),
  ModelMetadataRequest: message(named),
  ModelMetadataResponse: message(
    {
      name: field(1),
      versions: list(2),
      platform: field(3),
      inputs: list(4, 'TensorMetadata'),
      outputs: list(5, 'TensorMetadata'),
    },
    { TensorMetadata: message(tensor) },
  ),
  InferParameter: { oneofs: { parameter_choice: { oneof: Object.keys(choices) } }, fields: choices },
  InferTensorContents: message({
    bool_contents: list(1, 'bool'),
    int_contents: list(2, 'int32'),
    int64_contents: list(3, 'int64'),
    uint_contents: list(4, 'uint32'),
    uint64_contents: list(5, 'uint64'),
    fp32_contents: list(6, 'float'),
    fp64_contents: list(7, 'double'),
    bytes_contents: list(8, 'bytes'),
  }),
  ModelInferRequest: message(
    {
      model_name: field(1),
      model_version: field(2),
      id: field(3),
      parameters: parameters(4),
      inputs: list(5, 'InferInputTensor'),
      outputs: list(6, 'InferRequestedOutputTensor'),
      raw_input_contents: list(7, 'bytes'),
    },
    {
      InferInputTensor: message(tensorWithContents),
      InferRequestedOutputTensor: message({ name: field(1), parameters: parameters(2) }),
    },
  ),
  ModelInferResponse: message(
    {
      model_name: field(1),
      model_version: field(2),
      id: field(3),
      parameters: parameters(4),
      outputs: list(5, 'InferOutputTensor'),
      raw_output_contents: list(6, 'bytes'),
    },
    { InferOutputTensor: message(tensorWithContents) },
  ),
  RepositoryIndexRequest: message({ repository_name: field(1), ready: field(2, 'bool') }),
  RepositoryIndexResponse: message(
    { models: list(1, 'ModelIndex') },
    { ModelIndex: message({ name: field(1), version: field(2), state: field(3), reason: field(4) }) },
  ),
  RepositoryModelLoadRequest: message(change),
  RepositoryModelLoadResponse: message({}),
  RepositoryModelUnloadRequest: message(change),
  RepositoryModelUnloadResponse: message({}),
};

export const SCHEMA = { nested: { inference: { nested: inference } } };
