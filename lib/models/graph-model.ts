import type { Graph } from '../graph/graph.js';
import { int8Parameters, type ParameterValues, parameterShapes } from '../graph/parameters.js';
import { ModuleBuffer } from '../nn/state.js';
import { type CompileOptions, compileModel } from '../runtime/compile.js';
import type { Session } from '../runtime/session.js';
import { IMAGENET_TRANSFORM, type ImageTransform } from '../transforms/image-transform.js';
import type { Model } from './model.js';

/**
 * A network that is only a graph and its tensors: what a file that carries its graph gives, without the classes that
 * it was traced from. `loadStateDict` fills it.
 */
export class GraphModel implements Model {
  transform: ImageTransform = IMAGENET_TRANSFORM;
  categories: readonly string[] | undefined = undefined;
  readonly #state: ReadonlyMap<string, ModuleBuffer>;

  constructor(readonly graph: Graph) {
    const int8 = int8Parameters(graph);
    this.#state = new Map(
      [...parameterShapes(graph)].map(([key, shape]) => [
        key,
        new ModuleBuffer(shape, int8.has(key) ? 'int8' : 'float32', 0),
      ]),
    );
  }

  get parameters(): ReadonlyMap<string, ParameterValues> {
    return this.#state as ReadonlyMap<string, ParameterValues>;
  }

  /** The tensors that the graph names, in its order; live, as those of a module. */
  stateDict(): Map<string, ModuleBuffer> {
    return new Map(this.#state);
  }

  /** Compiles the graph for a device: see `compileModel`. */
  async compile(options?: CompileOptions): Promise<Session> {
    return compileModel(this, options);
  }
}
