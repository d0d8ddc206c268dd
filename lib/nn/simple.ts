import type { Operation } from '../graph/recorder.js';
import type { Value } from '../graph/value.js';
import { invalid } from '../is.js';
import { Layer } from './layer.js';
import { Module } from './module.js';

// The modules without parameters that are no pooling.

/** max(x, 0); NaN stays NaN. */
export class ReLU extends Layer {
  protected override operation(): Operation {
    return { op: 'relu' };
  }
}

/** [n, c, h, w] to [n, c · h · w]. */
export class Flatten extends Layer {
  protected override operation(): Operation {
    return { op: 'flatten' };
  }
}

/** x itself. It has no node of its own: its path is another name of the node it was given. */
export class Identity extends Module {
  override forward(x: Value): Value {
    return x;
  }
}

/** Modules run one after the other, named '0', '1', … */
export class Sequential extends Module {
  readonly [index: number]: Module;

  /** @throws ResNetError `INVALID_ARGUMENT` for what is not a module. */
  constructor(...modules: Module[]) {
    super();
    for (const [index, module] of modules.entries()) {
      if (!(module instanceof Module)) throw invalid(`module ${index} of Sequential`, 'a Module', module);
    }
    Object.assign(this, modules);
  }

  get length(): number {
    return [...this.children()].length;
  }

  *[Symbol.iterator](): Generator<Module> {
    for (const [, module] of this.children()) yield module;
  }

  override forward(x: Value): Value {
    let out = x;
    for (const module of this) out = module.forward(out);
    return out;
  }
}
