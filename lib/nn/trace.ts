import { ResNetError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { describe, Recorder, type Scope } from '../graph/recorder.js';
import type { Value } from '../graph/value.js';
import { checkInteger, invalid } from '../is.js';
import { Layer } from './layer.js';
import { Module } from './module.js';

type Forward = (...inputs: Value[]) => Value;

// What a shadowing forward shadows, so that a trace inside a trace does not run the outer one's.
const originals = new WeakMap<Forward, Forward>();

/**
 * Runs `module.forward` once over a symbolic batch of images and returns the graph of what it did.
 *
 * Nodes have the names of torchvision's `get_graph_node_names`. The path of every module that ran is an alias of the
 * last node inside it, `logits` of what forward returned. The modules are left as they were.
 * @param options.channels of the images.
 * @throws ResNetError `UNSUPPORTED` for what cannot be traced, `INVALID_SHAPE` for layers that do not fit together; both
 * name the module. What forward itself throws comes through.
 */
export function trace(module: Module, options: { channels: number }): Graph {
  if (!(module instanceof Module)) throw invalid('module', 'a Module', module);
  const recorder = new Recorder();
  const x = recorder.input(checkInteger('channels', options.channels, 1));
  const restorers: (() => void)[] = [];
  try {
    for (const [path, member] of module.namedModules()) restorers.push(shadow(member, path, recorder));
    return recorder.finish(module.forward(x));
  } finally {
    recorder.close();
    for (const restore of restorers.reverse()) restore();
  }
}

/**
 * Has the recorder told whenever `module.forward` runs, however it is called, by an own property in front of the
 * method. Returns what takes it away again.
 */
function shadow(module: Module, path: string, recorder: Recorder): () => void {
  const forward: Forward = originals.get(module.forward) ?? module.forward;
  const scope: Scope = { path, module, isLayer: forward === Layer.prototype.forward };
  const scoped: Forward = (...inputs) => recorder.enter(scope, inputs, () => forward.apply(module, inputs));
  originals.set(scoped, forward);

  const before = Object.getOwnPropertyDescriptor(module, 'forward');
  if (!Object.isExtensible(module) || before?.configurable === false) {
    throw new ResNetError('UNSUPPORTED', `${describe(scope)} is frozen or sealed and cannot be traced`);
  }
  Object.defineProperty(module, 'forward', { value: scoped, configurable: true, writable: true });
  return () => {
    if (before) Object.defineProperty(module, 'forward', before);
    else Reflect.deleteProperty(module, 'forward');
  };
}
