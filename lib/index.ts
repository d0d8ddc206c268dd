/** ResNets in Node.js at the speed of the hardware. Everything public is exported here, and nothing else is. */

export { AbortError, type ErrorCode, ResNetError, WeightsFormatError } from './errors.js';
export type { AloneRates } from './extract/alone.js';
export {
  type ExtractFeaturesOptions,
  type ExtractProgress,
  type ExtractSummary,
  extractFeatures,
} from './extract/extract-features.js';
export { extractQueued, type QueuedOptions } from './extract/queue/extract-queued.js';
export { type QueueStatus, queueStatus, retryParked } from './extract/queue/status.js';
export type { FeatureFormat, StoredDType } from './extract/sinks/sink.js';
export type { Stage } from './extract/stages.js';
export type { Graph, GraphNode } from './graph/graph.js';
export { graphNodeNames } from './graph/names.js';
export { type OnnxOptions, toOnnx } from './graph/onnx.js';
export { Value } from './graph/value.js';
export {
  type Builder,
  type BuilderOptions,
  getModel,
  getModelWeights,
  listModels,
  type ModelName,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  resnext50_32x4d,
  resnext101_32x8d,
  resnext101_64x4d,
  wide_resnet50_2,
  wide_resnet101_2,
} from './models/builders.js';
export { GraphModel } from './models/graph-model.js';
export { type LoadModelOptions, loadModel } from './models/load.js';
export type { Model } from './models/model.js';
export { Network } from './models/network.js';
export { type QuantizeOptions, quantizeModel } from './models/quantize.js';
export {
  BasicBlock,
  Block,
  type BlockOptions,
  type BlockType,
  Bottleneck,
  conv1x1,
  conv3x3,
  ResNet,
  ZeroPad,
} from './models/resnet.js';
export type { NormLayer, ResNetOptions } from './models/resnet-options.js';
export {
  getWeight,
  ResNet18_Weights,
  ResNet34_Weights,
  ResNet50_Weights,
  ResNet101_Weights,
  ResNet152_Weights,
  ResNeXt50_32X4D_Weights,
  ResNeXt101_32X8D_Weights,
  ResNeXt101_64X4D_Weights,
  type WeightsEntry,
  type WeightsEnum,
  type WeightsMeta,
  Wide_ResNet50_2_Weights,
  Wide_ResNet101_2_Weights,
} from './models/weights-entries.js';
export { add } from './nn/functional.js';
export * as nn from './nn/index.js';
export { attachSession } from './runtime/attach.js';
export type { BatchInput } from './runtime/batch-input.js';
export type { BatcherStats, BatchReport, RunReport, Timing } from './runtime/batch-stats.js';
export { Batcher, type BatcherOptions, type BatchRunOptions, type BatchSession } from './runtime/batcher.js';
export type { Compilable } from './runtime/compilable.js';
export type { Autotune, CompileOptions, ComputeDType } from './runtime/compile.js';
export { DeviceTurns } from './runtime/device-turns.js';
export { type Device, devices } from './runtime/devices.js';
export {
  type HostedSession,
  type HostOptions,
  hostSession,
  type RestartEvent,
} from './runtime/hosted/hosted-session.js';
export type { PlannedStep } from './runtime/planned-steps.js';
export type { CalibrationImages, QuantizationOptions } from './runtime/quantization.js';
export type { PlanStep, Results, RunOptions, Session, StepProfile } from './runtime/session.js';
export { createServer } from './server/create-server.js';
export type { BatchListener, ModelSource } from './server/models.js';
export type { ServedModelOptions } from './server/served-model.js';
export type { InferenceServer, ServerOptions } from './server/server.js';
export type { SourceAdapter } from './sources/adapter.js';
export { DirectoryAdapter } from './sources/directory.js';
export { HttpAdapter, type HttpAdapterOptions } from './sources/http.js';
export type { ExtractInput, ExtractInputs } from './sources/inputs.js';
export {
  type Classifier,
  type ClassifierOptions,
  type ClassifyOptions,
  createClassifier,
  type Failure,
} from './tasks/classifier.js';
export {
  createFeatureExtractor,
  type ExtractOptions,
  type FeatureExtractor,
  type FeatureExtractorOptions,
  type Features,
  type KeyedFeatures,
  type StreamOptions,
} from './tasks/extractor.js';
export type { ImageTaskOptions } from './tasks/image-path.js';
export type { ImageInput } from './tasks/images.js';
export type { Prediction } from './tasks/predictions.js';
export type { StageTimes } from './tasks/stage-clock.js';
export { type Layout, Tensor, type TensorDType } from './tensor.js';
export type { ImageTransform } from './transforms/image-transform.js';
export * as transforms from './transforms/index.js';
export type { DownloadProgress } from './weights/hub.js';
export { type LoadReport, loadStateDict, type Mismatch } from './weights/load.js';
export { readMetadata, readStateDict } from './weights/read.js';
export type { Metadata } from './weights/safetensors.js';
export { saveSafetensors } from './weights/save.js';
export type { StateData, StateDict, StateDType, StateTensor } from './weights/state-dict.js';
