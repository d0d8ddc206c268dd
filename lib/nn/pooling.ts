import { ResNetError } from '../errors.js';
import type { Pair } from '../graph/graph.js';
import type { Operation } from '../graph/recorder.js';
import { checkOptions, invalid, show } from '../is.js';
import { checkPair, type PairArgument } from './arguments.js';
import { Layer } from './layer.js';

export interface MaxPool2dOptions {
  /** Default: the kernel's size. */
  readonly stride?: PairArgument;
  /** On each side, at most half the kernel; it never wins. Default 0. */
  readonly padding?: PairArgument;
  /** Default 1. */
  readonly dilation?: PairArgument;
}

/** torch's MaxPool2d, sizes rounded down. */
export class MaxPool2d extends Layer {
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;

  /** @throws ResNetError `INVALID_ARGUMENT`. */
  constructor(kernelSize: PairArgument, options: MaxPool2dOptions = {}) {
    super();
    checkOptions('MaxPool2d', options, ['stride', 'padding', 'dilation']);
    this.kernelSize = checkPair('kernelSize', kernelSize, 1);
    this.stride = checkPair('stride', options.stride ?? kernelSize, 1);
    this.padding = checkPair('padding', options.padding ?? 0, 0);
    this.dilation = checkPair('dilation', options.dilation ?? 1, 1);
    if (this.padding.some((padding, axis) => padding > (this.kernelSize[axis] ?? 0) / 2)) {
      throw invalid('padding', `at most half the kernel [${this.kernelSize.join(', ')}]`, this.padding);
    }
  }

  protected override operation(): Operation {
    const { kernelSize, stride, padding, dilation } = this;
    return { op: 'max_pool2d', kernelSize, stride, padding, dilation };
  }
}

/** torch's AdaptiveAvgPool2d to one pixel: the mean of each channel, [n, c, 1, 1]. */
export class AdaptiveAvgPool2d extends Layer {
  /** @throws ResNetError `UNSUPPORTED` for any output size but 1. */
  constructor(outputSize: PairArgument = 1) {
    super();
    const size = Array.isArray(outputSize) ? outputSize : [outputSize, outputSize];
    if (size.join() !== '1,1') {
      throw new ResNetError(
        'UNSUPPORTED',
        `AdaptiveAvgPool2d pools to an output size of 1 only but received ${show(outputSize)}`,
      );
    }
  }

  protected override operation(): Operation {
    return { op: 'global_avg_pool' };
  }
}
