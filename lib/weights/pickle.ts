import { WeightsFormatError } from '../errors.js';
import { describe, show } from '../is.js';
import { PickleReader } from './pickle-reader.js';

// Python's pickle is a program for a stack machine that may call anything. This machine knows only what builds plain
// data, and a global is looked up in a list that the caller gives: one that is not there is refused when it is named,
// not when it is called. Dictionaries become Maps, so no key can reach a prototype.

/** Calls a global of the host's list, within the pickle's limits. */
export type CheckedCall = (callee: unknown, args: unknown) => unknown;

/** A Python object that a pickle may name. */
export interface PickleGlobal {
  readonly name: string;
  /**
   * What calling it makes, if it can be called.
   * @param args of REDUCE.
   * @param call for what the arguments name: they are the file's as well.
   */
  readonly call?: (args: readonly unknown[], call: CheckedCall) => unknown;
}

/** What surrounds a pickle. */
export interface PickleHost {
  /** By `module.name`. */
  readonly globals: ReadonlyMap<string, PickleGlobal>;
  /** The object that a persistent id stands for. */
  persistentLoad(id: unknown): unknown;
  /** Whether an object may be given this state by BUILD, which is dropped then. Dicts may be given any. */
  readonly dropsState?: (object: unknown, state: unknown) => boolean;
}

// A hostile stream makes an object of some 200 bytes from one byte: a limit on steps is a limit on memory. A
// checkpoint of ResNet-152 with its optimiser takes 76,000 steps.
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
    const operation = OPERATIONS.get(opcode);
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

  readonly call: CheckedCall = (callee, args) => {
    const target = listedGlobal(this.host, callee);
    if (!target?.call)
      throw new WeightsFormatError(
        `the pickle calls ${target?.name ?? describe(callee)}, which cannot be called`,
      );
    if (!isTuple(args) || args.length > MAX_ARGUMENTS)
      throw new WeightsFormatError(`the pickle calls ${target.name} with no tuple of arguments`);
    // What is called may copy its arguments, and a pickle may call it with the same ones again and again.
    for (const argument of args) this.spend(extent(argument));
    return target.call(args, this.call);
  };
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

/** Attributes of a dict (torch keeps `_metadata` there) are not its items: dropped. Little else has any. */
function build(machine: Machine): void {
  const state = machine.pop();
  const object = machine.top();
  if (!(object instanceof Map) && !machine.host.dropsState?.(object, state))
    throw new WeightsFormatError(`the pickle sets attributes of ${describe(object)}`);
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
  machine.push(machine.call(machine.pop(), args));
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
const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x80, readProtocol],
  [0x95, (m) => m.reader.skip(8)], // FRAME: only a hint for reading ahead
  [0x4a, (m) => m.push(m.reader.int32())], // BININT
  [0x4b, (m) => m.push(m.reader.byte())], // BININT1
  [0x4d, (m) => m.push(m.reader.uint16())], // BININT2
  [0x8a, (m) => m.push(m.reader.integer(m.reader.byte()))], // LONG1
  [0x8b, (m) => m.push(m.reader.integer(m.reader.uint32()))], // LONG4
  [0x47, (m) => m.push(m.reader.float64())], // BINFLOAT
  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x54, (m) => m.push(m.reader.text(m.reader.uint32()))], // BINSTRING: what str was in Python 2
  [0x55, (m) => m.push(m.reader.text(m.reader.byte()))], // SHORT_BINSTRING
  [0x42, (m) => m.push(m.reader.bytes(m.reader.uint32()))], // BINBYTES
  [0x43, (m) => m.push(m.reader.bytes(m.reader.byte()))], // SHORT_BINBYTES
  [0x8e, (m) => m.push(m.reader.bytes(m.reader.uint64()))], // BINBYTES8
  [0x58, (m) => m.push(m.reader.text(m.reader.uint32()))], // BINUNICODE
  [0x8c, (m) => m.push(m.reader.text(m.reader.byte()))], // SHORT_BINUNICODE
  [0x8d, (m) => m.push(m.reader.text(m.reader.uint64()))], // BINUNICODE8
  [0x5d, (m) => m.push([])], // EMPTY_LIST
  [0x61, append],
  [0x65, appends],
  [0x29, (m) => m.push(m.popTuple(0))], // EMPTY_TUPLE
  [0x85, (m) => m.push(m.popTuple(1))], // TUPLE1
  [0x86, (m) => m.push(m.popTuple(2))], // TUPLE2
  [0x87, (m) => m.push(m.popTuple(3))], // TUPLE3
  [0x74, (m) => m.push(Object.freeze(m.popMark()))], // TUPLE
  [0x7d, (m) => m.push(new Map())], // EMPTY_DICT
  [0x73, setItem],
  [0x75, setManyItems],
  [0x8f, (m) => m.push(new Set())], // EMPTY_SET
  [0x90, addItems],
  [0x28, (m) => m.mark()], // MARK
  [0x30, (m) => void m.pop()], // POP
  [0x31, (m) => void m.popMark()], // POP_MARK
  [0x32, (m) => m.push(m.top())], // DUP
  [0x68, (m) => m.push(m.remembered(m.reader.byte()))], // BINGET
  [0x6a, (m) => m.push(m.remembered(m.reader.uint32()))], // LONG_BINGET
  [0x71, (m) => void m.memo.set(m.reader.byte(), m.top())], // BINPUT
  [0x72, (m) => void m.memo.set(m.reader.uint32(), m.top())], // LONG_BINPUT
  [0x94, (m) => void m.memo.set(m.memo.size, m.top())], // MEMOIZE
  [0x63, (m) => m.pushGlobal(m.reader.line(), m.reader.line())], // GLOBAL
  [0x93, pushStackGlobal],
  [0x52, callWithTuple], // REDUCE
  [0x81, callWithTuple], // NEWOBJ: what may be named makes the same thing both ways
  [0x62, build],
  [0x51, (m) => m.push(m.host.persistentLoad(m.pop()))], // BINPERSID
]);
