import type { Operation } from '../graph/recorder.js';
import { checkInteger, checkOptions } from '../is.js';
import { uniformFanIn } from './init.js';
import { Layer } from './layer.js';
import { Parameter } from './state.js';

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
}

/** torch's Linear over rows [n, in]: `weight` is [out, in], `bias` [out]. */
export class Linear extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly inFeatures: number;
  readonly outFeatures: number;

  /** @throws ResNetError `INVALID_ARGUMENT`. */
  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    checkOptions('Linear', options, ['bias']);
    this.inFeatures = checkInteger('inFeatures', inFeatures, 1);
    this.outFeatures = checkInteger('outFeatures', outFeatures, 1);
    this.weight = new Parameter([outFeatures, inFeatures], uniformFanIn(inFeatures));
    this.bias = (options.bias ?? true) ? new Parameter([outFeatures], uniformFanIn(inFeatures)) : undefined;
  }

  protected override operation(key: (name: string) => string): Operation {
    const { inFeatures, outFeatures } = this;
    const parameters = { weight: key('weight'), ...(this.bias && { bias: key('bias') }) };
    return { op: 'linear', inFeatures, outFeatures, ...parameters };
  }
}
