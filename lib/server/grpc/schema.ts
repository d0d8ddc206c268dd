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
  'ModelConfig',
  'ModelStatistics',
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

const duration = message({ count: field(1, 'uint64'), ns: field(2, 'uint64') });

const statistics = {
  StatisticDuration: duration,
  InferStatistics: message({
    success: field(1, 'StatisticDuration'),
    fail: field(2, 'StatisticDuration'),
    queue: field(3, 'StatisticDuration'),
    compute_input: field(4, 'StatisticDuration'),
    compute_infer: field(5, 'StatisticDuration'),
    compute_output: field(6, 'StatisticDuration'),
    cache_hit: field(7, 'StatisticDuration'),
    cache_miss: field(8, 'StatisticDuration'),
  }),
  InferBatchStatistics: message({
    batch_size: field(1, 'uint64'),
    compute_input: field(2, 'StatisticDuration'),
    compute_infer: field(3, 'StatisticDuration'),
    compute_output: field(4, 'StatisticDuration'),
  }),
  ModelStatistics: message({
    name: field(1),
    version: field(2),
    last_inference: field(3, 'uint64'),
    inference_count: field(4, 'uint64'),
    execution_count: field(5, 'uint64'),
    inference_stats: field(6, 'InferStatistics'),
    batch_stats: list(7, 'InferBatchStatistics'),
  }),
  ModelStatisticsRequest: message(named),
  ModelStatisticsResponse: message({ model_stats: list(1, 'ModelStatistics') }),
};

// Of Triton's configuration, the fields that say something here.
const configuration = {
  DataType: { values: { TYPE_INVALID: 0, TYPE_UINT8: 2, TYPE_FP16: 10, TYPE_FP32: 11 } },
  ModelInput: message({
    name: field(1),
    data_type: field(2, 'DataType'),
    dims: list(4, 'int64'),
    optional: field(8, 'bool'),
  }),
  ModelOutput: message({
    name: field(1),
    data_type: field(2, 'DataType'),
    dims: list(3, 'int64'),
    label_filename: field(4),
  }),
  ModelVersionPolicy: message(
    { latest: field(1, 'Latest') },
    { Latest: message({ num_versions: field(1, 'uint32') }) },
  ),
  ModelQueuePolicy: message({ max_queue_size: field(4, 'uint32') }),
  ModelDynamicBatching: message({
    max_queue_delay_microseconds: field(2, 'uint64'),
    default_queue_policy: field(6, 'ModelQueuePolicy'),
  }),
  ModelConfig: message({
    name: field(1),
    platform: field(2),
    version_policy: field(3, 'ModelVersionPolicy'),
    max_batch_size: field(4, 'int32'),
    input: list(5, 'ModelInput'),
    output: list(6, 'ModelOutput'),
    dynamic_batching: field(11, 'ModelDynamicBatching'),
    backend: field(17),
  }),
  ModelConfigRequest: message(named),
  ModelConfigResponse: message({ config: field(1, 'ModelConfig') }),
};

export const SCHEMA = {
  nested: { inference: { nested: { ...inference, ...statistics, ...configuration } } },
};
