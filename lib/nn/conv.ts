import type { Pair } from '../graph/graph.js';
import type { Operation } from '../graph/recorder.js';
import { checkInteger, checkOptions, invalid } from '../is.js';
import { shapeSize } from '../shape.js';
import { checkPair, type PairArgument } from './arguments.js';
import { uniformFanIn } from './init.js';
import { Layer } from './layer.js';
import { Parameter } from './state.js';

export interface Conv2dOptions {
  /** Default 1. */
  readonly stride?: PairArgument;
  /** Zeros added on each side. Default 0. */
  readonly padding?: PairArgument;
  /** Default 1. */
  readonly dilation?: PairArgument;
  /** Default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
}

/** torch's Conv2d with zero padding: `weight` is [out, in / groups, height, width], `bias` [out]. */
export class Conv2d extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly kernelSize: Pair;
  readonly stride: Pair;
  readonly padding: Pair;
  readonly dilation: Pair;
  readonly groups: number;

  /** @throws ResNetError `INVALID_ARGUMENT` for sizes that are no convolution. */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: PairArgument,
    options: Conv2dOptions = {},
  ) {
    super();
    checkOptions('Conv2d', options, ['stride', 'padding', 'dilation', 'groups', 'bias']);
    this.inChannels = checkInteger('inChannels', inChannels, 1);
    this.outChannels = checkInteger('outChannels', outChannels, 1);
    this.kernelSize = checkPair('kernelSize', kernelSize, 1);
    this.stride = checkPair('stride', options.stride ?? 1, 1);
    this.padding = checkPair('padding', options.padding ?? 0, 0);
    this.dilation = checkPair('dilation', options.dilation ?? 1, 1);
    this.groups = checkInteger('groups', options.groups ?? 1, 1);
    for (const channels of [inChannels, outChannels]) {
      if (channels % this.groups !== 0) {
        throw invalid('groups', `a divisor of ${inChannels} and ${outChannels} channels`, this.groups);
      }
    }
    const shape = [outChannels, inChannels / this.groups, ...this.kernelSize];
    const fanIn = shapeSize(shape.slice(1));
    this.weight = new Parameter(shape, uniformFanIn(fanIn));
    this.bias = (options.bias ?? true) ? new Parameter([outChannels], uniformFanIn(fanIn)) : undefined;
  }

  protected override operation(key: (name: string) => string): Operation {
    const { inChannels, outChannels, kernelSize, stride, padding, dilation, groups } = this;
    const parameters = { weight: key('weight'), ...(this.bias && { bias: key('bias') }) };
    const window = { kernelSize, stride, padding, dilation };
    return { op: 'conv2d', inChannels, outChannels, ...window, groups, ...parameters };
  }
}
