import type { Operation } from '../graph/recorder.js';
import { checkInteger, checkOptions, invalid } from '../is.js';
import { constant } from './init.js';
import { Layer } from './layer.js';
import { ModuleBuffer, Parameter } from './state.js';

export interface BatchNorm2dOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether there are a learned weight and bias. Default true. */
  readonly affine?: boolean;
}

/**
 * torch's BatchNorm2d in eval mode: (x - running_mean) / √(running_var + eps) · weight + bias, for each channel.
 * The names of the statistics are those of the state dict.
 */
export class BatchNorm2d extends Layer {
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;
  readonly running_mean: ModuleBuffer;
  readonly running_var: ModuleBuffer;
  /** A counter of torch's training: kept, and without effect. */
  readonly num_batches_tracked: ModuleBuffer;
  readonly features: number;
  readonly eps: number;

  /** @throws ResNetError `INVALID_ARGUMENT`. */
  constructor(features: number, options: BatchNorm2dOptions = {}) {
    super();
    checkOptions('BatchNorm2d', options, ['eps', 'affine']);
    this.features = checkInteger('features', features, 1);
    this.eps = options.eps ?? 1e-5;
    if (!(Number.isFinite(this.eps) && this.eps >= 0))
      throw invalid('eps', 'a number of at least 0', this.eps);
    const affine = options.affine ?? true;
    this.weight = affine ? new Parameter([features], constant(1)) : undefined;
    this.bias = affine ? new Parameter([features], constant(0)) : undefined;
    this.running_mean = new ModuleBuffer([features], 'float32', 0);
    this.running_var = new ModuleBuffer([features], 'float32', 1);
    this.num_batches_tracked = new ModuleBuffer([], 'int64', 0);
  }

  protected override operation(key: (name: string) => string): Operation {
    const affine = {
      ...(this.weight && { weight: key('weight') }),
      ...(this.bias && { bias: key('bias') }),
    };
    const statistics = { runningMean: key('running_mean'), runningVar: key('running_var') };
    return { op: 'batch_norm', features: this.features, eps: this.eps, ...affine, ...statistics };
  }
}
