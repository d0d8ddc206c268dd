import { describe, expect, test } from 'vitest';
import {
  adoptStateDict,
  type LoadableModel,
  type LoadableTensor,
  loadStateDict,
} from '../../lib/weights/load.js';
import { readStateDict } from '../../lib/weights/read.js';
import type { StateDict } from '../../lib/weights/state-dict.js';
import { EXPECTED, expectError, fixture } from './helpers.js';

/** The model of model.pth, every value 0. */
function emptyModel(): LoadableModel & { readonly state: Map<string, LoadableTensor> } {
  const state = new Map<string, LoadableTensor>();
  for (const [key, { dtype, shape }] of Object.entries(EXPECTED['model.pth'] ?? {})) {
    const size = shape.reduce((product, length) => product * length, 1);
    const data = dtype === 'int64' ? new BigInt64Array(size) : new Float32Array(size);
    state.set(key, { dtype: dtype as 'float32' | 'int64', shape, data });
  }
  return { state, stateDict: () => state };
}

function values(model: LoadableModel): Record<string, (number | bigint)[]> {
  return Object.fromEntries([...model.stateDict()].map(([key, { data }]) => [key, [...data]]));
}

async function modelState(): Promise<StateDict> {
  return readStateDict(fixture('model.pth'));
}

/** The values of model.pth as they should be in a model. */
async function expectedValues(): Promise<Record<string, (number | bigint)[]>> {
  return Object.fromEntries([...(await modelState())].map(([key, { data }]) => [key, [...data] as number[]]));
}

describe('strict', () => {
  test('a file that fits', async () => {
    const model = emptyModel();
    const report = await loadStateDict(model, fixture('model.pth'));
    expect(report).toEqual({ loaded: [...model.state.keys()], missing: [], unexpected: [], mismatched: [] });
    expect(values(model)).toEqual(await expectedValues());
  });

  test("a file's data is taken over, a state dict's is copied", async () => {
    const [fromFile, fromState] = [emptyModel(), emptyModel()];
    await loadStateDict(fromFile, fixture('model.pth'));
    const buffers = [...fromFile.state.values()].map(({ data }) => data.buffer);
    expect(new Set(buffers).size).toBe(1);

    const state = await modelState();
    await loadStateDict(fromState, state);
    for (const { data } of state.values()) new Uint8Array(data.buffer).fill(0);
    expect(values(fromState)).toEqual(await expectedValues());
  });

  test("the data of a file's state dict is taken over when nobody else uses it", async () => {
    const model = emptyModel();
    const state = await modelState();
    const report = adoptStateDict(model, state, { path: 'model.pth' });
    expect(report.loaded).toEqual([...state.keys()]);
    for (const [key, { data }] of state) expect(model.state.get(key)?.data).toBe(data);
    state.delete('fc.bias');
    const strict = () => adoptStateDict(model, state, { path: 'model.pth' });
    await expectError(
      strict,
      'STATE_DICT_MISMATCH',
      /^model\.pth does not fit .*\n.*not in the file \(1\): fc\.bias/,
    );
    expect(adoptStateDict(model, state, { path: 'model.pth', strict: false }).missing).toEqual(['fc.bias']);
  });

  test('a file without num_batches_tracked, and a model without it', async () => {
    const state = await modelState();
    state.delete('bn1.num_batches_tracked');
    const report = await loadStateDict(emptyModel(), state);
    expect(report.missing).toEqual([]);
    expect(report.loaded).not.toContain('bn1.num_batches_tracked');

    const model = emptyModel();
    model.state.delete('bn1.num_batches_tracked');
    expect((await loadStateDict(model, fixture('model.pth'))).unexpected).toEqual([]);
  });

  test('other dtypes become those of the model; NaN and infinities stay', async () => {
    const model = emptyModel();
    const state = await modelState();
    state.set('fc.bias', { dtype: 'float64', shape: [2], data: Float64Array.of(Number.NaN, 1 / 3) });
    state.set('bn1.weight', {
      dtype: 'float16',
      shape: [4],
      data: Uint16Array.of(0x3c00, 0x7c00, 0xfc00, 0x0001),
    });
    state.set('bn1.bias', { dtype: 'bfloat16', shape: [4], data: Uint16Array.of(0x3f80, 0xff80, 0x4049, 0) });
    state.set('bn1.num_batches_tracked', { dtype: 'float32', shape: [], data: Float32Array.of(7) });
    await loadStateDict(model, state);
    const loaded = values(model);
    expect(loaded['fc.bias']).toEqual([Number.NaN, Math.fround(1 / 3)]);
    expect(loaded['bn1.weight']).toEqual([1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -24]);
    expect(loaded['bn1.bias']).toEqual([1, Number.NEGATIVE_INFINITY, 3.140625, 0]);
    expect(loaded['bn1.num_batches_tracked']).toEqual([7n]);
  });

  test('what does not fit is told by key and shape, and changes nothing', async () => {
    const model = emptyModel();
    const state = await modelState();
    state.delete('bn1.bias');
    state.set('extra', { dtype: 'float32', shape: [1], data: Float32Array.of(1) });
    state.set('conv1.weight', { dtype: 'float32', shape: [4, 3, 1, 1], data: new Float32Array(12) });
    const before = values(model);
    await expectError(
      loadStateDict(model, state),
      'STATE_DICT_MISMATCH',
      /conv1\.weight: expected \[4, 3, 3, 3\], the state dict has \[4, 3, 1, 1\]\n.*not in the state dict \(1\): bn1\.bias\n.*not in the model \(1\): extra\n.*strict: false/,
    );
    expect(values(model)).toEqual(before);
  });

  test('a path is named, and long lists are cut', async () => {
    const model = emptyModel();
    for (let i = 0; i < 100; i++)
      model.state.set(`block${i}`, { dtype: 'float32', shape: [], data: new Float32Array(1) });
    await expectError(
      loadStateDict(model, fixture('model.pth')),
      'STATE_DICT_MISMATCH',
      /model\.pth does not fit.*\n.*not in the file \(100\): block0, .*block7, and 92 more/,
    );
  });

  test('an endless key does not make an endless message', async () => {
    const state = await modelState();
    state.set('x'.repeat(1e6), { dtype: 'float32', shape: [], data: new Float32Array(1) });
    const error = await loadStateDict(emptyModel(), state).catch((thrown: Error) => thrown);
    expect((error as Error).message.length).toBeLessThan(1000);
  });
});

describe('not strict', () => {
  test('what fits is loaded, the rest is reported and left', async () => {
    const model = emptyModel();
    const state = await modelState();
    state.delete('bn1.bias');
    state.set('extra', { dtype: 'float32', shape: [1], data: Float32Array.of(1) });
    state.set('conv1.weight', { dtype: 'float32', shape: [4, 3, 1, 1], data: new Float32Array(12).fill(9) });
    const report = await loadStateDict(model, state, { strict: false });
    expect(report.missing).toEqual(['bn1.bias']);
    expect(report.unexpected).toEqual(['extra']);
    expect(report.mismatched).toEqual([{ key: 'conv1.weight', expected: [4, 3, 3, 3], found: [4, 3, 1, 1] }]);
    expect(report.loaded).toEqual([...model.state.keys()].filter((key) => !/bn1\.bias|conv1/.test(key)));
    const expected = await expectedValues();
    const zeros = { 'bn1.bias': Array(4).fill(0), 'conv1.weight': Array(108).fill(0) };
    expect(values(model)).toEqual({ ...expected, ...zeros });
  });
});

describe('arguments', () => {
  test.each<[string, unknown, unknown, unknown, RegExp]>([
    ['no model', undefined, 'model.pth', {}, /a model for model/],
    ['no source', emptyModel(), undefined, {}, /a path or a Uint8Array/],
    ['a plain object', emptyModel(), { a: 1 }, {}, /a path or a Uint8Array/],
    ['a broken state dict', emptyModel(), new Map([['a', {}]]), {}, /the dtype of a/],
    ['a strict of another type', emptyModel(), new Map(), { strict: 'yes' }, /true or false for strict/],
  ])('%s', async (_what, model, source, options, message) => {
    const promise = loadStateDict(model as LoadableModel, source as string, options as { strict: boolean });
    await expectError(promise, 'INVALID_ARGUMENT', message);
  });
});
