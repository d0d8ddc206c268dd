import type { Graph } from '../graph/graph.js';
import type { ModuleState } from '../nn/state.js';
import type { CompileOptions } from '../runtime/compile.js';
import type { NativeParameter } from '../runtime/native.js';
import type { Session } from '../runtime/session.js';

// What everything that takes a model relies on: sessions, savers, exporters, tasks. Two classes implement it:
// Network (modules of which forward() is traced) and GraphModel (a file that carries its graph).

/**
 * How a picture becomes input: the shorter side is resized to `resizeSize`, the centre `cropSize` square is cut out,
 * and pixels become (x / 255 - mean) / std for each channel.
 */
export interface ImageTransform {
  readonly resizeSize: number;
  readonly cropSize: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** torchvision's preset for classifiers trained on ImageNet. */
export const IMAGENET_TRANSFORM: ImageTransform = Object.freeze({
  resizeSize: 256,
  cropSize: 224,
  mean: Object.freeze([0.485, 0.456, 0.406]),
  std: Object.freeze([0.229, 0.224, 0.225]),
});

/** What a session is compiled from. */
export interface Compilable {
  readonly graph: Graph;
  /** At least every tensor that the graph names, by state-dict key, as float32. Reading `data` may initialise it. */
  readonly parameters: ReadonlyMap<string, NativeParameter>;
  readonly transform: ImageTransform;
  /** Class names in the order of the logits, where known. */
  readonly categories: readonly string[] | undefined;
}

/** A network with its weights: what builders and `loadModel` give. */
export interface Model extends Compilable {
  transform: ImageTransform;
  categories: readonly string[] | undefined;
  /** Every tensor by key; setting an entry's `data` sets the model's. */
  stateDict(): Map<string, ModuleState>;
  /** See `compileModel`. */
  compile(options?: CompileOptions): Promise<Session>;
}
