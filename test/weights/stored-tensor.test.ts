import { readdir, readlink, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import { ModuleBuffer } from '../../lib/nn/state.js';
import { Tensor } from '../../lib/tensor.js';
import { loadStateDict } from '../../lib/weights/load.js';
import { readStateDict } from '../../lib/weights/read.js';
import { saveSafetensors } from '../../lib/weights/save.js';
import type { StateDict } from '../../lib/weights/state-dict.js';
import { expectError, temporaryFolder } from './helpers.js';
import { legacyFile } from './legacy-builder.js';
import { dictOf, global, int, pickleOf, tensor, text, tuple } from './pickle-builder.js';
import { type MadeEntry, makeZip } from './zip-builder.js';

const folder = temporaryFolder();
/** 64 × 64 × 3 × 3 floats; the smallest tensors have 10 values. */
const LARGE = 'layer3.0.conv2.weight';
const SMALL = 'fc.bias';
let count = 0;

const network = () => new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', numClasses: 10 });

async function save(model: Model): Promise<string> {
  const file = join(folder, `${count++}.safetensors`);
  await saveSafetensors(file, model);
  return file;
}

const stateOf = (model: Model, key: string) => model.stateDict().get(key) as ModuleBuffer;

async function logits(model: Model, device: string): Promise<Float32Array> {
  const session = await model.compile({ device, maxBatch: 1 });
  const input = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i));
  const { logits: result } = await session.run(Tensor.fromFloat32(input, [1, 3, 32, 32]));
  await session.close();
  return (result as Tensor<Float32Array>).data;
}

/** A float32 matrix of 128 × 128 as torch saves it, and the file that holds it. */
const MATRIX = Float32Array.from({ length: 128 * 128 }, (_, i) => i);
async function torchFile(lies: Partial<MadeEntry> = {}): Promise<string> {
  const file = join(folder, `${count++}.pth`);
  const matrix = tensor({
    count: int(128 * 128),
    shape: tuple(int(128), int(128)),
    stride: tuple(int(128), int(1)),
  });
  const content = new Uint8Array(MATRIX.buffer);
  const entries = [
    { name: 'a/data.pkl', content: pickleOf(dictOf('w', matrix)) },
    { name: 'a/data/0', content, ...lies },
  ];
  await writeFile(file, makeZip(entries));
  return file;
}

/** A model that is one matrix. */
function matrixModel() {
  const w = new ModuleBuffer([128, 128], 'float32', 0);
  return { w, stateDict: () => new Map([['w', w]]) };
}

describe.each(['cpu', 'reference'])('on the device %s', (device) => {
  test('a model computes the same from a file as from memory, and reads nothing into its state', async () => {
    const model = network();
    const loaded = await loadModel(await save(model));
    expect(await logits(loaded, device)).toEqual(await logits(model, device));
    expect(stateOf(loaded, LARGE).stored).toBeDefined();
    expect(stateOf(loaded, SMALL).stored).toBeUndefined();
  });
});

describe.each(['float16', 'bfloat16'] as const)('a file in %s', (dtype) => {
  /** The values of a model rounded towards zero, in the file's dtype. */
  const halved = (model: Model): StateDict => {
    const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0] as number;
    // The exponents of weights are within those of float16, or they become 0.
    const half = (value: number) => {
      const exponent = ((bits(value) >>> 23) & 255) - 112;
      return exponent <= 0
        ? 0
        : ((bits(value) >>> 16) & 0x8000) | (exponent << 10) | ((bits(value) >>> 13) & 1023);
    };
    const narrow = (value: number) => (dtype === 'float16' ? half(value) : bits(value) >>> 16);
    return new Map(
      [...model.stateDict()].map(([key, { dtype: wide, shape, data }]) => [
        key,
        wide === 'float32'
          ? { dtype, shape, data: Uint16Array.from(data as Float32Array, narrow) }
          : { dtype: wide, shape, data },
      ]),
    );
  };

  test('keeps its large tensors, which are widened wherever they are read', async () => {
    const state = halved(network());
    const file = join(folder, `${count++}.safetensors`);
    await saveSafetensors(file, state);
    const [fromFile, fromMemory] = [network(), network()];
    await loadStateDict(fromFile, file);
    await loadStateDict(fromMemory, state);
    expect(stateOf(fromFile, LARGE).stored).toBeDefined();
    for (const device of ['cpu', 'reference'])
      expect(await logits(fromFile, device)).toEqual(await logits(fromMemory, device));
    const again = await loadModel(await save(fromFile));
    expect(stateOf(again, LARGE).data).toEqual(stateOf(fromMemory, LARGE).data);
    expect(stateOf(fromFile, LARGE).stored).toBeDefined();
    expect(stateOf(fromFile, LARGE).data).toEqual(stateOf(fromMemory, LARGE).data);
    expect(stateOf(fromFile, LARGE).data).toBeInstanceOf(Float32Array);
  });
});

describe('the state of a model from a file', () => {
  test('is what the file holds, once somebody reads it; and then it is the model that holds it', async () => {
    const model = network();
    const loaded = await loadModel(await save(model));
    const state = stateOf(loaded, LARGE);
    expect(state.data).toEqual(stateOf(model, LARGE).data);
    expect(state.stored).toBeUndefined();
    const before = await logits(loaded, 'cpu');
    (state.data as Float32Array).fill(0);
    expect(state.data[0]).toBe(0);
    expect(await logits(loaded, 'cpu')).not.toEqual(before);
  });

  test('can be set before it was read', async () => {
    const loaded = await loadModel(await save(network()));
    const state = stateOf(loaded, LARGE);
    state.data = new Float32Array(state.size).fill(2);
    expect(state.stored).toBeUndefined();
    expect(state.data[1]).toBe(2);
  });

  test('goes into another model, and into another file, without being held on the way', async () => {
    const model = network();
    const loaded = await loadModel(await save(model));
    const other = network();
    await loadStateDict(other, loaded.stateDict() as StateDict);
    const again = await loadModel(await save(loaded));
    expect(stateOf(loaded, LARGE).stored).toBeDefined();
    expect(await logits(other, 'cpu')).toEqual(await logits(model, 'cpu'));
    expect(await logits(again, 'cpu')).toEqual(await logits(model, 'cpu'));
  });
});

describe('a file', () => {
  test('may be replaced or removed while a model needs it', async () => {
    const model = network();
    const file = await save(model);
    const loaded = await loadModel(file);
    await saveSafetensors(file, network());
    expect(stateOf(loaded, LARGE).stored).toBeDefined();
    await rm(file);
    expect(await logits(loaded, 'cpu')).toEqual(await logits(model, 'cpu'));
  });

  test('that is written to after it was loaded is refused by compile and by whoever reads the data', async () => {
    const file = await save(network());
    const loaded = await loadModel(file);
    const [atime, mtime] = [new Date(), new Date(Date.now() + 5000)];
    await utimes(file, atime, mtime);
    await expectError(logits(loaded, 'cpu'), 'FILE', /was written to after .* load it again/);
    await expectError(logits(loaded, 'reference'), 'FILE', /was written to after/);
    expect(() => stateOf(loaded, LARGE).data).toThrow(/was written to after/);
  });

  test('that is cut off after it was loaded is refused', async () => {
    const file = await save(network());
    const loaded = await loadModel(file);
    await writeFile(file, 'nothing');
    await expectError(logits(loaded, 'cpu'), 'FILE', /was written to after/);
    expect(() => stateOf(loaded, LARGE).data).toThrow(/was written to after/);
  });

  test.skipIf(process.platform !== 'linux')(
    'is open only while tensors stay in it (Linux lists what is open)',
    async () => {
      const opened = async () => {
        const links = (await readdir('/proc/self/fd')).map((fd) =>
          readlink(`/proc/self/fd/${fd}`).catch(() => ''),
        );
        return (await Promise.all(links)).filter((path) => path === file).length;
      };
      const file = await save(network());
      await readStateDict(file);
      expect(await opened()).toBe(0);
      const model = await loadModel(file);
      await logits(model, 'cpu');
      expect(await opened()).toBe(1);
    },
  );
});

describe('a file of torch', () => {
  test('keeps stored tensors until they are needed', async () => {
    const model = matrixModel();
    await loadStateDict(model, await torchFile());
    expect(model.w.stored?.position).toBeGreaterThan(0);
    expect(model.w.data).toEqual(MATRIX);
  });

  test('has deflated ones read at once', async () => {
    const model = matrixModel();
    await loadStateDict(model, await torchFile({ deflate: true }));
    expect(model.w.stored).toBeUndefined();
    expect(model.w.data).toEqual(MATRIX);
  });

  test('before 1.6 keeps them too, at any address', async () => {
    const view = `${tuple(text('v'), int(1), int(128 * 128))}`;
    const storage = `${tuple(text('storage'), global('torch', 'FloatStorage'), text('0'), text('cpu'), int(128 * 128 + 1), view)}Q`;
    const matrix = tensor({ storage, shape: tuple(int(128), int(128)), stride: tuple(int(128), int(1)) });
    const content = new Uint8Array(Float32Array.of(-1, ...MATRIX).buffer);
    for (const padding of ['', 'x']) {
      const file = join(folder, `${count++}.pth`);
      const pickle = pickleOf('}', '(', text('note'), text(padding), text('w'), matrix, 'u');
      await writeFile(file, legacyFile(pickle, [{ content }]));
      const model = matrixModel();
      await loadStateDict(model, file);
      expect(model.w.stored?.position).toBeGreaterThan(0);
      expect(model.w.data).toEqual(MATRIX);
    }
  });

  test('has its local headers checked all the same', async () => {
    const loading = loadStateDict(matrixModel(), await torchFile({ localName: 'a/data/1' }));
    await expectError(loading, 'WEIGHTS_FORMAT', /its local header says "a\/data\/1"/);
  });
});
