import type { Graph } from '../graph/graph.js';
import type { ParameterValues } from '../graph/parameters.js';
import { Module } from '../nn/module.js';
import { trace } from '../nn/trace.js';
import { type CompileOptions, compileModel } from '../runtime/compile.js';
import type { Session } from '../runtime/session.js';
import { IMAGENET_TRANSFORM, type ImageTransform } from '../transforms/image-transform.js';
import type { Model } from './model.js';

/**
 * A module that takes images and can be compiled: the base of ResNet, and of networks of your own. Its forward takes
 * the batch and returns the logits.
 */
export abstract class Network extends Module implements Model {
  /** Of the images. */
  readonly inputChannels: number = 3;
  transform: ImageTransform = IMAGENET_TRANSFORM;
  categories: readonly string[] | undefined = undefined;

  /**
   * What forward does, traced anew at each reading.
   * @throws ResNetError `UNSUPPORTED`, `INVALID_SHAPE`: see `trace`.
   */
  get graph(): Graph {
    return trace(this, { channels: this.inputChannels });
  }

  get parameters(): ReadonlyMap<string, ParameterValues> {
    const parameters = new Map<string, ParameterValues>();
    for (const [key, state] of this.stateDict()) {
      if (state.dtype === 'float32') parameters.set(key, state as ParameterValues);
    }
    return parameters;
  }

  /** Traces the network and compiles it for a device: see `compileModel`. */
  async compile(options?: CompileOptions): Promise<Session> {
    return compileModel(this, options);
  }
}
