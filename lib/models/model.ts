import type { ModuleState } from '../nn/state.js';
import type { Compilable } from '../runtime/compilable.js';
import type { CompileOptions } from '../runtime/compile.js';
import type { Session } from '../runtime/session.js';
import type { ImageTransform } from '../transforms/image-transform.js';

// What everything that takes a model relies on: sessions, savers, exporters, tasks. Two classes implement it:
// Network (modules of which forward() is traced) and GraphModel (a file that carries its graph).

/** A network with its weights: what builders and `loadModel` give. */
export interface Model extends Compilable {
  transform: ImageTransform;
  categories: readonly string[] | undefined;
  /** Every tensor by key; setting an entry's `data` sets the model's. */
  stateDict(): Map<string, ModuleState>;
  /** See `compileModel`. */
  compile(options?: CompileOptions): Promise<Session>;
}
