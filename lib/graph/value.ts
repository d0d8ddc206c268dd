import { ResNetError } from '../errors.js';
import { show } from '../is.js';
import type { Recorder } from './recorder.js';
import { showShape, type ValueShape } from './shapes.js';

/**
 * What flows through `forward` while a network is traced: it stands for the tensor that a node will compute, and holds
 * no numbers. Values are combined by modules and by nn's functions only.
 */
export class Value {
  constructor(
    readonly recorder: Recorder,
    /** Of the node that computes it. */
    readonly name: string,
    readonly shape: ValueShape,
  ) {}

  toString(): string {
    return `Value(${this.name}: ${showShape(this.shape)})`;
  }

  /** `a + b` would silently make a string: it is refused. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString();
    throw new ResNetError(
      'UNSUPPORTED',
      `${this} is symbolic and takes no JavaScript operators: to add two values call add(a, b)`,
    );
  }
}

/** `value` as a Value; throws `UNSUPPORTED` if it is none. */
export function requireValue(value: unknown, where: string): Value {
  if (value instanceof Value) return value;
  throw new ResNetError(
    'UNSUPPORTED',
    `Expected a Value for ${where} but received ${show(value)}: forward() is traced over Values; ` +
      'to run a network on tensors, compile it',
  );
}
