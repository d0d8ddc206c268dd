import { ResNetError } from '../errors.js';
import type { Graph, GraphNode, OpName } from './graph.js';
import { outputShape } from './shapes.js';
import { requireValue, Value } from './value.js';

type DistributiveOmit<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never;

/** A graph node before it has a name and inputs. */
export type Operation = DistributiveOmit<GraphNode, 'name' | 'inputs'>;

/** The module whose forward is running. */
export interface Scope {
  /** Empty for the outermost module. */
  readonly path: string;
  readonly module: object;
  /** Whether the module is one node, and that node has the module's name. */
  readonly isLayer: boolean;
}

// The functions behind operations of another name, as torch calls them.
const FUNCTION_NAMES: Partial<Record<OpName, string>> = {
  global_avg_pool: 'adaptive_avg_pool2d',
  zero_pad_shortcut: 'pad',
};

/** One trace under way: collects nodes, names them as torchvision does, and knows which module is running. */
export class Recorder {
  readonly #nodes: GraphNode[] = [];
  readonly #names = new Set<string>();
  readonly #lastNodes = new Map<string, string>();
  readonly #scopes: Scope[] = [];
  #open = true;

  get scope(): Scope | undefined {
    return this.#scopes.at(-1);
  }

  input(channels: number): Value {
    return this.#add({ op: 'input', channels }, 'x', []);
  }

  /**
   * Appends a node.
   * @throws ResNetError `UNSUPPORTED` for inputs of another trace, `INVALID_SHAPE` when they do not fit.
   */
  record(operation: Operation, inputs: readonly Value[]): Value {
    for (const input of inputs) this.check(input, operation.op);
    const { path = '', isLayer = false } = this.scope ?? {};
    const functionName = FUNCTION_NAMES[operation.op] ?? operation.op;
    const name = isLayer && path ? path : path ? `${path}.${functionName}` : functionName;
    return this.#add(operation, this.#uniqueName(name), inputs);
  }

  /** Runs a module's forward as the current scope. */
  enter(scope: Scope, inputs: readonly unknown[], forward: () => unknown): Value {
    const where = describe(scope);
    for (const input of inputs) this.check(input, where);
    const nodesBefore = this.#nodes.length;
    this.#scopes.push(scope);
    try {
      const result = this.check(forward(), `the result of forward() of ${where}`);
      const ranNodes = this.#nodes.length > nodesBefore;
      this.#lastNodes.set(scope.path, ranNodes ? (this.#nodes.at(-1) as GraphNode).name : result.name);
      return result;
    } finally {
      this.#scopes.pop();
    }
  }

  /** Throws unless `candidate` is a Value of this trace, while it is under way. */
  check(candidate: unknown, where: string): Value {
    const value = requireValue(candidate, where);
    if (value.recorder !== this || !this.#open) {
      throw new ResNetError('UNSUPPORTED', `${where}: ${value} belongs to another trace; do not keep Values`);
    }
    return value;
  }

  /** The graph, of which `result` is what the outermost forward returned. */
  finish(result: Value): Graph {
    const aliases = new Map(this.#lastNodes);
    aliases.delete('');
    aliases.set('logits', result.name);
    for (const name of this.#names) aliases.delete(name);
    return { version: 1, nodes: this.#nodes, aliases: Object.fromEntries(aliases) };
  }

  /** Values of this trace are refused from here on. */
  close(): void {
    this.#open = false;
  }

  #add(operation: Operation, name: string, inputs: readonly Value[]): Value {
    const { op, ...attributes } = operation;
    const node = { name, op, inputs: inputs.map((input) => input.name), ...attributes } as GraphNode;
    const shape = outputShape(
      node,
      inputs.map((input) => input.shape),
    );
    this.#nodes.push(node);
    this.#names.add(name);
    return new Value(this, name, shape);
  }

  /**
   * torchvision's rule: a number at the name's end is dropped, be it the user's own, and names that were there before
   * get _1, _2, … So modules `conv_1` and `conv_2` are the nodes `conv` and `conv_1`, as they are there.
   */
  #uniqueName(name: string): string {
    const base = name.replace(/(?<=.)_[0-9]+$/, '');
    let unique = base;
    for (let i = 1; this.#names.has(unique); i++) unique = `${base}_${i}`;
    return unique;
  }
}

/** `layer1.0 (BasicBlock)`, or the class alone for the outermost module. */
export function describe(scope: Scope): string {
  const type = scope.module.constructor.name;
  return scope.path ? `${scope.path} (${type})` : type;
}
