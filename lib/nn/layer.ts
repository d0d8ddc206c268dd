import { ResNetError } from '../errors.js';
import type { Operation, Recorder } from '../graph/recorder.js';
import { describe } from '../graph/recorder.js';
import { requireValue, type Value } from '../graph/value.js';
import { joinPath, Module } from './module.js';

/** A module that is one operation of the graph: torch's Conv2d, BatchNorm2d and the like. */
export abstract class Layer extends Module {
  /**
   * Records this layer's operation on x.
   * @throws ResNetError `UNSUPPORTED` if x is not a Value or this layer belongs to no module of the trace;
   * `INVALID_SHAPE` if x does not fit, naming the layer.
   */
  override forward(x: Value): Value {
    const { recorder } = requireValue(x, this.constructor.name);
    const path = this.#path(recorder);
    return recorder.record(
      this.operation((name) => joinPath(path, name)),
      [x],
    );
  }

  /** @param key the state-dict key of the parameter of that name. */
  protected abstract operation(key: (name: string) => string): Operation;

  #path(recorder: Recorder): string {
    const scope = recorder.scope;
    if (scope?.module === this) return scope.path;
    const type = this.constructor.name;
    const inside = scope ? ` inside ${describe(scope)}` : '';
    throw new ResNetError(
      'UNSUPPORTED',
      `A ${type} ran${inside} that is no property of any module: assign it to one in the constructor ` +
        '(this.name = …) or put it into a Sequential; arrays and maps are not searched',
    );
  }
}
