import { WeightsFormatError } from '../errors.js';
import { show } from '../is.js';
import { describe } from './describe.js';
import { PickleReader } from './pickle-reader.js';

// Python's pickle is a program for a stack machine that may call anything. This machine knows only what builds plain
// data, and a global is looked up in a list that the caller gives: one that is not there is refused when it is named,
// not when it is called. Dictionaries become Maps, so no key can reach a prototype.

/** A Python object that a pickle may name. Called with the arguments of REDUCE, if it can be called at all. */
export interface PickleGlobal {
  readonly name: string;
  readonly call?: (...args: unknown[]) => unknown;
}

/** What surrounds a pickle. */
export interface PickleHost {
  /** By `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** The object that a persistent id stands for. */
  persistentLoad(id: unknown): unknown;
}

// A hostile stream makes an object of some 200 bytes from one byte: a limit on steps is a limit on memory. A
// checkpoint of ResNet-152 with its optimiser takes 150,000 steps.
const MAX_STEPS = 2_000_000;
const MAX_STACK = 200_000;
const MAX_ARGUMENTS = 16;

/**
 * Interprets one pickle of protocol 2 to 5 that begins at `start`.
 *
 * Dictionaries come as Map, lists as arrays, tuples as frozen arrays, sets as Set, bytes as Uint8Array and integers
 * beyond 2^53 as bigint. `end` is where the next thing in the stream begins.
 * @throws WeightsFormatError for anything else, and for a global that is not in the host's list.
 */
export function unpickle(bytes: Uint8Array, host: PickleHost, start = 0): { value: unknown; end: number } {
  const machine = new Machine(new PickleReader(bytes, start), host);
  for (;;) {
    machine.spend(1);
    const at = machine.reader.position;
    const opcode = machine.reader.byte();
    if (opcode === STOP) break;
    const operation = OPERATIONS[opcode];
    if (!operation)
      throw new WeightsFormatError(
        `the pickle has the opcode 0x${opcode.toString(16)} at ${at}, which is not read`,
      );
    operation(machine);
  }
  return { value: machine.pop(), end: machine.reader.position };
}

class Machine {
  private stack: unknown[] = [];
  /** The stacks below each mark. */
  private readonly marked: unknown[][] = [];
  private depth = 0;
  private steps = 0;
  readonly memo = new Map<number, unknown>();

  constructor(
    readonly reader: PickleReader,
    readonly host: PickleHost,
  ) {}

  /** Counts work in steps, so that the pickle's limit holds for it. */
  spend(steps: number): void {
    this.steps += steps;
    if (this.steps > MAX_STEPS) throw new WeightsFormatError(`the pickle takes over ${MAX_STEPS} steps`);
  }

  push(value: unknown): void {
    if (++this.depth > MAX_STACK) throw new WeightsFormatError('the pickle nests too deep');
    this.stack.push(value);
  }

  pop(): unknown {
    if (this.stack.length === 0) throw new WeightsFormatError('the pickle takes more than it has made');
    this.depth--;
    return this.stack.pop();
  }

  top(): unknown {
    if (this.stack.length === 0) throw new WeightsFormatError('the pickle takes more than it has made');
    return this.stack.at(-1);
  }

  mark(): void {
    if (++this.depth > MAX_STACK) throw new WeightsFormatError('the pickle nests too deep');
    this.marked.push(this.stack);
    this.stack = [];
  }

  /** Everything since the last mark. */
  popMark(): unknown[] {
    const below = this.marked.pop();
    if (!below) throw new WeightsFormatError('the pickle has no mark where it needs one');
    const items = this.stack;
    this.depth -= items.length + 1;
    this.stack = below;
    return items;
  }

  popTuple(count: number): readonly unknown[] {
    const items = new Array<unknown>(count);
    for (let i = count - 1; i >= 0; i--) items[i] = this.pop();
    return Object.freeze(items);
  }

  remembered(index: number): unknown {
    if (!this.memo.has(index))
      throw new WeightsFormatError(`the pickle recalls ${index}, which it never stored`);
    return this.memo.get(index);
  }

  pushGlobal(module: unknown, name: unknown): void {
    const path = `${module}.${name}`;
    const found = this.host.globals.get(path);
    if (!found)
      throw new WeightsFormatError(
        `its pickle names ${show(path)}, which no state dict needs: refused, nothing was run; ` +
          'save only the tensors with torch.save(model.state_dict(), path)',
      );
    this.push(found);
  }

  call(callee: unknown, args: unknown): void {
    const target = listedGlobal(this.host, callee);
    if (!target?.call)
      throw new WeightsFormatError(
        `the pickle calls ${target?.name ?? describe(callee)}, which cannot be called`,
      );
    if (!isTuple(args) || args.length > MAX_ARGUMENTS)
      throw new WeightsFormatError(`the pickle calls ${target.name} with no tuple of arguments`);
    // What is called may copy its arguments, and a pickle may call it with the same ones again and again.
    for (const argument of args) this.spend(extent(argument));
    this.push(target.call(...args));
  }
}

/** How much there is to copy in a value. */
function extent(value: unknown): number {
  if (value instanceof Map) return value.size;
  return Array.isArray(value) || typeof value === 'string' ? value.length : 0;
}

function listedGlobal(host: PickleHost, value: unknown): PickleGlobal | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const listed = host.globals.get((value as Partial<PickleGlobal>).name ?? '');
  return listed === value ? listed : undefined;
}

/** Whether a value that `unpickle` made was a tuple in Python. */
export function isTuple(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && Object.isFrozen(value);
}

function setItems(target: unknown, items: readonly unknown[]): void {
  if (!(target instanceof Map)) throw new WeightsFormatError(`the pickle sets items of ${describe(target)}`);
  if (items.length % 2 !== 0) throw new WeightsFormatError('the pickle sets a key without a value');
  for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
}

/** Attributes of a dict (torch keeps `_metadata` there) are not its items: dropped. Nothing else has any. */
function build(machine: Machine): void {
  machine.pop();
  if (!(machine.top() instanceof Map))
    throw new WeightsFormatError(`the pickle sets attributes of ${describe(machine.top())}`);
}

const STOP = 0x2e;

type Operation = (machine: Machine) => void;

function readProtocol(machine: Machine): void {
  const protocol = machine.reader.byte();
  if (protocol < 2 || protocol > 5)
    throw new WeightsFormatError(`the pickle has protocol ${protocol}; 2 to 5 are read`);
}

function callWithTuple(machine: Machine): void {
  const args = machine.pop();
  machine.call(machine.pop(), args);
}

function pushStackGlobal(machine: Machine): void {
  const name = machine.pop();
  const module = machine.pop();
  if (typeof name !== 'string' || typeof module !== 'string')
    throw new WeightsFormatError('the pickle names a global by something else than strings');
  machine.pushGlobal(module, name);
}

function setItem(machine: Machine): void {
  const value = machine.pop();
  const key = machine.pop();
  setItems(machine.top(), [key, value]);
}

function setManyItems(machine: Machine): void {
  const items = machine.popMark();
  setItems(machine.top(), items);
}

function addItems(machine: Machine): void {
  const items = machine.popMark();
  const target = machine.top();
  if (!(target instanceof Set)) throw new WeightsFormatError(`the pickle adds to ${describe(target)}`);
  for (const item of items) target.add(item);
}

function listOf(value: unknown): unknown[] {
  if (!Array.isArray(value) || isTuple(value))
    throw new WeightsFormatError(`the pickle appends to ${describe(value)}`);
  return value;
}

function append(machine: Machine): void {
  const value = machine.pop();
  listOf(machine.top()).push(value);
}

function appends(machine: Machine): void {
  const items = machine.popMark();
  const list = listOf(machine.top());
  for (const item of items) list.push(item);
}

/** By opcode, in the order of Python's pickletools: what plain data and torch's files are written with. */
const OPERATIONS: Readonly<Record<number, Operation>> = {
  128: readProtocol,
  149: (m) => m.reader.skip(8), // FRAME: only a hint for reading ahead
  74: (m) => m.push(m.reader.int32()), // BININT
  75: (m) => m.push(m.reader.byte()), // BININT1
  77: (m) => m.push(m.reader.uint16()), // BININT2
  138: (m) => m.push(m.reader.integer(m.reader.byte())), // LONG1
  139: (m) => m.push(m.reader.integer(m.reader.uint32())), // LONG4
  71: (m) => m.push(m.reader.float64()), // BINFLOAT
  78: (m) => m.push(null), // NONE
  136: (m) => m.push(true), // NEWTRUE
  137: (m) => m.push(false), // NEWFALSE
  84: (m) => m.push(m.reader.text(m.reader.uint32())), // BINSTRING: what str was in Python 2
  85: (m) => m.push(m.reader.text(m.reader.byte())), // SHORT_BINSTRING
  66: (m) => m.push(m.reader.bytes(m.reader.uint32())), // BINBYTES
  67: (m) => m.push(m.reader.bytes(m.reader.byte())), // SHORT_BINBYTES
  142: (m) => m.push(m.reader.bytes(m.reader.uint64())), // BINBYTES8
  88: (m) => m.push(m.reader.text(m.reader.uint32())), // BINUNICODE
  140: (m) => m.push(m.reader.text(m.reader.byte())), // SHORT_BINUNICODE
  141: (m) => m.push(m.reader.text(m.reader.uint64())), // BINUNICODE8
  93: (m) => m.push([]), // EMPTY_LIST
  97: append,
  101: appends,
  41: (m) => m.push(m.popTuple(0)), // EMPTY_TUPLE
  133: (m) => m.push(m.popTuple(1)), // TUPLE1
  134: (m) => m.push(m.popTuple(2)), // TUPLE2
  135: (m) => m.push(m.popTuple(3)), // TUPLE3
  116: (m) => m.push(Object.freeze(m.popMark())), // TUPLE
  125: (m) => m.push(new Map()), // EMPTY_DICT
  115: setItem,
  117: setManyItems,
  143: (m) => m.push(new Set()), // EMPTY_SET
  144: addItems,
  40: (m) => m.mark(), // MARK
  48: (m) => void m.pop(), // POP
  49: (m) => void m.popMark(), // POP_MARK
  50: (m) => m.push(m.top()), // DUP
  104: (m) => m.push(m.remembered(m.reader.byte())), // BINGET
  106: (m) => m.push(m.remembered(m.reader.uint32())), // LONG_BINGET
  113: (m) => void m.memo.set(m.reader.byte(), m.top()), // BINPUT
  114: (m) => void m.memo.set(m.reader.uint32(), m.top()), // LONG_BINPUT
  148: (m) => void m.memo.set(m.memo.size, m.top()), // MEMOIZE
  99: (m) => m.pushGlobal(m.reader.line(), m.reader.line()), // GLOBAL
  147: pushStackGlobal,
  82: callWithTuple, // REDUCE
  129: callWithTuple, // NEWOBJ: what may be named makes the same thing both ways
  98: build,
  81: (m) => m.push(m.host.persistentLoad(m.pop())), // BINPERSID
};
