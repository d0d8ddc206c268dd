import { ResNetError } from '../errors.js';
import type { Value } from '../graph/value.js';
import { ModuleBuffer, type ModuleState, Parameter } from './state.js';

/**
 * The base of every layer, block and network.
 *
 * Parameters, buffers and submodules are what is found in the module's own enumerable properties, in the order in which
 * the properties came to be (a declared field comes at its declaration): assigning `this.conv1 = new Conv2d(…)` is
 * all that registration takes, and the property's name is the key in the state dict. Arrays and maps are not searched.
 *
 * `forward` says what the module computes. It is not run on numbers: it is traced once, over symbolic values, when the
 * network is compiled.
 */
export abstract class Module {
  /** Takes and returns values of the trace under way, by calling submodules' `forward` and nn's functions. */
  forward(..._inputs: Value[]): Value {
    const name = this.constructor.name;
    throw new ResNetError('UNSUPPORTED', `${name} has no forward(): define one that returns a Value`);
  }

  /** The submodules of this one alone, by property name. */
  *children(): Generator<[name: string, module: Module]> {
    for (const [name, value] of Object.entries(this)) if (value instanceof Module) yield [name, value];
  }

  /** The parameters, then the buffers, of this module alone, by property name. */
  *ownState(): Generator<[name: string, state: ModuleState]> {
    const entries = Object.entries(this);
    for (const [name, value] of entries) if (value instanceof Parameter) yield [name, value];
    for (const [name, value] of entries) if (value instanceof ModuleBuffer) yield [name, value];
  }

  /**
   * This module (named '') and all below it, parents first, each once under the first path that leads to it.
   * @throws ResNetError `UNSUPPORTED` if a module contains itself.
   */
  *namedModules(): Generator<[path: string, module: Module]> {
    const seen = new Set<Module>();
    for (const [path, module] of this.#walk()) {
      if (!seen.has(module)) yield [path, module];
      seen.add(module);
    }
  }

  /** The learned tensors by state-dict key, each once under its first name. */
  *namedParameters(): Generator<[key: string, parameter: Parameter]> {
    const seen = new Set<Parameter>();
    for (const [key, state] of this.stateDict()) {
      if (!(state instanceof Parameter) || seen.has(state)) continue;
      seen.add(state);
      yield [key, state];
    }
  }

  /**
   * Every tensor of the state by key (`layer1.0.conv1.weight`), in torch's order: the parameters of a module, its
   * buffers, then its submodules. The entries are live: setting the `data` of one sets the module's.
   */
  stateDict(): Map<string, ModuleState> {
    const state = new Map<string, ModuleState>();
    for (const [path, module] of this.#walk()) {
      for (const [name, entry] of module.ownState()) state.set(joinPath(path, name), entry);
    }
    return state;
  }

  /** Every path below this module, one module shared by two properties under both. */
  *#walk(path = '', above: readonly Module[] = []): Generator<[path: string, module: Module]> {
    if (above.includes(this)) {
      throw new ResNetError('UNSUPPORTED', `${path} (${this.constructor.name}) contains itself`);
    }
    yield [path, this];
    for (const [name, child] of this.children()) yield* child.#walk(joinPath(path, name), [...above, this]);
  }
}

/** `name` inside the module at `path`, which is empty for the outermost. */
export function joinPath(path: string, name: string): string {
  return path ? `${path}.${name}` : name;
}
