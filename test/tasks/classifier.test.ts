import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resnet18 } from '../../lib/models/builders.js';
import { loadModel } from '../../lib/models/load.js';
import type { Model } from '../../lib/models/model.js';
import { BasicBlock, ResNet } from '../../lib/models/resnet.js';
import { compileModel } from '../../lib/runtime/compile.js';
import {
  type Classifier,
  type ClassifierOptions,
  createClassifier,
  type Failure,
} from '../../lib/tasks/classifier.js';
import { createFeatureExtractor } from '../../lib/tasks/extractor.js';
import type { Prediction } from '../../lib/tasks/predictions.js';
import { softmax } from '../../lib/tasks/softmax.js';
import { Tensor } from '../../lib/tensor.js';
import { classification } from '../../lib/transforms/index.js';
import { readMetadata } from '../../lib/weights/read.js';
import { DIGITS_MODEL, digitOf, HELD_OUT } from './digits.js';

const NOT_AN_IMAGE = DIGITS_MODEL;
const ABSENT = `${DIGITS_MODEL}.absent.png`;
const [FIRST, SECOND, THIRD] = HELD_OUT as [string, string, string];

let model: Model;
let classifier: Classifier;
let pixels: Tensor;

beforeAll(async () => {
  model = await loadModel(DIGITS_MODEL);
  classifier = await createClassifier(model, { device: 'cpu', maxBatch: 8 });
  pixels = await classification(model.transform)(FIRST);
});

afterAll(() => classifier.close());

/** Of each thread of this process, as Linux tells it. */
function nicenesses(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    const stat = statOf(thread);
    // The fields behind the name in brackets, which may hold anything; the niceness is the 19th of all.
    return stat === undefined ? [] : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
  });
}

/** Undefined: the thread has ended since it was listed. */
function statOf(thread: string): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${thread}/stat`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

test.skipIf(process.platform !== 'linux')('computing gives way to the event loop', async () => {
  const own = getPriority();
  const giveWay = () => nicenesses().filter((niceness) => niceness === Math.min(own + 5, 19)).length;
  const before = giveWay();
  const others = await createClassifier(model, { device: 'cpu', threads: 2 });
  await others.classify([FIRST]);
  expect(giveWay()).toBe(before + 2);
  await others.close();
});

const topOf = (results: Prediction[][]) => results.map(([best]) => best?.label);
const probabilities = (results: Prediction[][]) => results.map((r) => r.map((p) => p.probability));

describe('the shipped model', () => {
  test('has on all held-out digits, from files to labels, exactly the accuracy that its file claims', async () => {
    const claimed = JSON.parse((await readMetadata(DIGITS_MODEL)).accuracy as string);
    const results = await classifier.classify(HELD_OUT, { topK: 1 });
    const right = results.filter(([best], i) => best?.label === digitOf(HELD_OUT[i] as string)).length;
    expect({ right, of: results.length }).toEqual({ right: claimed.correct, of: claimed.count });
    expect(right / results.length).toBeCloseTo(claimed.heldOut, 6);
    expect(claimed.heldOut).toBeGreaterThanOrEqual(0.99);
  });
});

describe('classify', () => {
  test('gives the likeliest classes first, with probabilities that sum to one', async () => {
    const [all] = await classifier.classify([FIRST], { topK: 10 });
    const [five] = await classifier.classify([FIRST]);
    expect(all).toHaveLength(10);
    expect(five).toEqual(all?.slice(0, 5));
    const values = all?.map(({ probability }) => probability) ?? [];
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(values.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect(all?.map(({ index }) => index).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(all?.[0]).toMatchObject({ index: Number(digitOf(FIRST)), label: digitOf(FIRST) });
  });

  test('takes paths, bytes, and pixels of one image or of many, all mixed, and gives the same for the same', async () => {
    const bytes = readFileSync(FIRST);
    const pair = Tensor.fromUint8(Buffer.concat([pixels.data, pixels.data] as Uint8Array[]), [2, 32, 32, 3]);
    const single = Tensor.fromUint8(pixels.data as Uint8Array, [1, 32, 32, 3]);
    const items = [FIRST, SECOND, bytes, pixels, pair, new Uint8Array(bytes), single];
    const results = await classifier.classify(items);
    expect(results).toHaveLength(8);
    expect(topOf(results)[1]).toBe(digitOf(SECOND));
    for (const i of [2, 3, 4, 5, 6, 7]) expect(results[i]).toEqual(results[0]);
  });

  test('gives one image what it gives it among many, whatever the batches are', async () => {
    const files = HELD_OUT.slice(0, 21);
    const together = await classifier.classify(files);
    const alone = [];
    for (const file of files) alone.push(...(await classifier.classify([file])));
    expect(topOf(together)).toEqual(topOf(alone));
    for (const [i, row] of probabilities(together).entries()) {
      for (const [j, value] of row.entries()) expect(value).toBeCloseTo(alone[i]?.[j]?.probability ?? -1, 5);
    }
  });

  test('takes pixels of different sizes, in their order', async () => {
    const large = await classification({ ...model.transform, resizeSize: 48, cropSize: 48 })(THIRD);
    const results = await classifier.classify([FIRST, large, SECOND, large, FIRST]);
    expect(results[3]).toEqual(results[1]);
    expect(topOf([results[0], results[2], results[4]] as Prediction[][])).toEqual(
      [FIRST, SECOND, FIRST].map(digitOf),
    );
  });

  test('no images give no results', async () => {
    expect(await classifier.classify([])).toEqual([]);
  });

  test('topK of more than there are gives all; what is no positive integer is an error', async () => {
    const [all] = await classifier.classify([FIRST], { topK: 99 });
    expect(all).toHaveLength(10);
    for (const topK of [0, -1, 1.5, Number.NaN, '5' as unknown as number]) {
      await expect(classifier.classify([FIRST], { topK })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('topK'),
      });
    }
  });

  test('may be called many times at once', async () => {
    const results = await Promise.all(HELD_OUT.slice(0, 12).map((file) => classifier.classify([file])));
    expect(results.flatMap(topOf)).toEqual(HELD_OUT.slice(0, 12).map(digitOf));
  });
});

describe('images that cannot be read', () => {
  test('reject everything by default', async () => {
    const items = [FIRST, NOT_AN_IMAGE, SECOND];
    await expect(classifier.classify(items)).rejects.toMatchObject({ code: 'IMAGE_DECODE' });
    await expect(classifier.classify([ABSENT])).rejects.toMatchObject({ code: 'FILE' });
  });

  test('are errors in their places with onError: return', async () => {
    const items = [ABSENT, FIRST, NOT_AN_IMAGE, ...HELD_OUT.slice(1, 10), Buffer.from('no image'), ''];
    const results = await classifier.classify(items, { topK: 1, onError: 'return' });
    const summary = results.map((result) => ('error' in result ? result.error.code : result[0]?.label));
    expect(summary).toEqual([
      'FILE',
      digitOf(FIRST),
      'IMAGE_DECODE',
      ...HELD_OUT.slice(1, 10).map(digitOf),
      'IMAGE_DECODE',
      'INVALID_ARGUMENT',
    ]);
  });

  test('may be all there are', async () => {
    const results = await classifier.classify([ABSENT, ABSENT], { onError: 'return' });
    expect(results).toMatchObject([{ error: { code: 'FILE' } }, { error: { code: 'FILE' } }]);
  });

  test('onError is one of two', async () => {
    const options = { onError: 'retrun' as 'return' };
    await expect(classifier.classify([FIRST], options)).rejects.toThrow(/did you mean "return"/);
  });
});

describe('what is no image input', () => {
  const pixelsOf = (shape: number[]) =>
    Tensor.fromUint8(new Uint8Array(shape.reduce((a, b) => a * b)), shape);
  const cases: [string, unknown, string, RegExp][] = [
    ['no list', FIRST, 'INVALID_ARGUMENT', /a list of images/],
    ['a number', [FIRST, 7], 'INVALID_ARGUMENT', /items\[1\] but received 7/],
    ['null', [null], 'INVALID_ARGUMENT', /items\[0\] but received null/],
    [
      'float32',
      [Tensor.fromFloat32(new Float32Array(3), [1, 1, 3])],
      'INVALID_ARGUMENT',
      /tensor of float32/,
    ],
    ['one channel', [pixelsOf([32, 32, 1])], 'INVALID_SHAPE', /\[h, w, 3\].*\[32, 32, 1\]/],
    ['two dimensions', [pixelsOf([32, 3])], 'INVALID_SHAPE', /\[h, w, 3\]/],
    ['five dimensions', [pixelsOf([1, 1, 8, 8, 3])], 'INVALID_SHAPE', /\[h, w, 3\]/],
    ['no pixels', [pixelsOf([0, 32, 3])], 'INVALID_SHAPE', /\[h, w, 3\]/],
  ];
  test.each(cases)('%s', async (_, items, code, message) => {
    const result = classifier.classify(items as string[], { onError: 'return' });
    await expect(result).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a tensor of no images is none', async () => {
    expect(await classifier.classify([pixelsOf([0, 32, 32, 3])])).toEqual([]);
  });
});

describe('stream', () => {
  test('gives each result before the images far behind it are read', async () => {
    const results = classifier.stream([...Array.from({ length: 100 }, () => FIRST), ABSENT]);
    const { value } = await results.next();
    expect(value).toEqual((await classifier.classify([FIRST]))[0]);
    const rest = async () => {
      for await (const _ of results);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'FILE' });
  });
});

describe('abort', () => {
  test('before the start', async () => {
    const signal = AbortSignal.abort(new Error('no need'));
    await expect(classifier.classify(HELD_OUT, { signal })).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: { message: 'no need' },
    });
  });

  test('on the way, also with onError: return; the classifier goes on working', async () => {
    const controller = new AbortController();
    let given = 0;
    const reading = (async () => {
      const options = { signal: controller.signal, onError: 'return' } as const;
      for await (const _ of classifier.stream(HELD_OUT, options)) if (++given === 20) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
    expect(given).toBeLessThan(40);
    expect(topOf(await classifier.classify([FIRST]))).toEqual([digitOf(FIRST)]);
  });
});

describe('labels', () => {
  const names = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
  const labelOf = async (model: Model, labels?: readonly string[]) => {
    const other = await createClassifier(model, { device: 'cpu', labels });
    try {
      return topOf(await other.classify([FIRST]))[0];
    } finally {
      await other.close();
    }
  };

  test("the option wins over the file's", async () => {
    expect(await labelOf(model, names)).toBe(names[Number(digitOf(FIRST))]);
    expect(await labelOf(model)).toBe(digitOf(FIRST));
  });

  test('are null where neither file nor weights have any', async () => {
    expect(await labelOf(new ResNet(BasicBlock, [1, 1, 1], { stem: 'cifar', numClasses: 10 }))).toBeNull();
  });

  test('of weights that have other classes than the network are not taken', async () => {
    const network = await resnet18({ numClasses: 3 });
    network.categories = ['a', 'b', 'c', 'd'];
    expect(await labelOf(network)).toBeNull();
    network.categories = ['a', 'b', 'c'];
    expect(['a', 'b', 'c']).toContain(await labelOf(network));
  });

  test('are as many as the classes', async () => {
    const labels = names.slice(1);
    await expect(createClassifier(model, { labels })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Expected 10 names, one a class for labels but received "9 names"',
    });
    const numbers = [1, 2] as unknown as string[];
    await expect(createClassifier(model, { labels: numbers })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('transform', () => {
  const classifyWith = async (transform: Parameters<typeof classification>[0]) => {
    const other = await createClassifier(model, { device: 'cpu', transform });
    try {
      return (await other.classify([FIRST], { topK: 10 }))[0];
    } finally {
      await other.close();
    }
  };

  test('replaces parts of the model’s own', async () => {
    const [usual] = await classifier.classify([FIRST], { topK: 10 });
    const large = await classification({ ...model.transform, resizeSize: 48, cropSize: 40 })(FIRST);
    const [expected] = await classifier.classify([large], { topK: 10 });
    expect(await classifyWith({ resizeSize: 48, cropSize: 40 })).toEqual(expected);
    expect(await classifyWith({})).toEqual(usual);
    expect(await classifyWith(classification(model.transform))).toEqual(usual);
  });

  test('brings its own mean and std', async () => {
    const [mean, std] = [
      [0.9, 0.5, 0.1],
      [0.2, 0.3, 0.4],
    ];
    const actual = await classifyWith({ mean, std });
    const normalised = Float32Array.from(pixels.data, (value, i) => {
      return (value / 255 - (mean[i % 3] as number)) / (std[i % 3] as number);
    });
    const input = Tensor.fromFloat32(normalised, [1, 32, 32, 3], { layout: 'NHWC' });
    const { logits } = await classifier.session.run(input);
    const expected = softmax(logits?.data ?? new Float32Array());
    expect(actual).toHaveLength(10);
    for (const { index, probability } of actual ?? [])
      expect(probability).toBeCloseTo(expected[index] ?? -1, 5);
    expect(actual).not.toEqual((await classifier.classify([FIRST], { topK: 10 }))[0]);
  });

  test('is checked', async () => {
    const bad = createClassifier(model, { transform: { cropSize: 0 } });
    await expect(bad).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('createClassifier', () => {
  test('says what is no model and no option', async () => {
    const nothing = undefined as unknown as Model;
    await expect(createClassifier(nothing)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const typo = { devise: 'cpu' } as object;
    await expect(createClassifier(model, typo)).rejects.toThrow(/did you mean "device"/);
  });

  test('passes on what compile takes', async () => {
    const other = await createClassifier(model, { device: 'reference', maxBatch: 3 });
    expect(other.session).toMatchObject({ device: 'reference', maxBatch: 3 });
    const results = await other.classify(HELD_OUT.slice(0, 4));
    expect(topOf(results)).toEqual(HELD_OUT.slice(0, 4).map(digitOf));
    await other.close();
  });

  test('a closed classifier refuses, also after disposal', async () => {
    const other = await createClassifier(model, { device: 'cpu' });
    await other[Symbol.asyncDispose]();
    await other.close();
    await expect(other.classify([FIRST])).rejects.toMatchObject({ code: 'SESSION_CLOSED' });
  });
});

describe('arguments that are none', () => {
  const failing = (work: () => unknown, message: RegExp) =>
    expect((async () => work())()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  const create = (options: unknown) => createClassifier(model, options as ClassifierOptions);

  test('options', async () => {
    await failing(() => create(null), /an object for the options of createClassifier but received null/);
    await failing(() => create({ outputs: ['layer1'] }), /createClassifier has no option "outputs"/);
    await failing(() => classifier.classify([], null as never), /an object for the options of classify/);
    await failing(() => classifier.classify([], { topk: 1 } as object), /did you mean "topK"/);
  });

  test('a transform that is no transform', async () => {
    await failing(() => create({ transform: async (x: unknown) => x }), /transform to have mean and std/);
    await failing(() => create({ transform: 5 }), /an object for the options of transform but received 5/);
    await failing(() => create({ transform: null }), /options of transform/);
    await failing(() => create({ transform: { cropsize: 5 } }), /did you mean "cropSize"/);
    const untransformed = {
      ...model,
      graph: model.graph,
      parameters: model.parameters,
      transform: undefined,
    };
    await failing(() => compileModel(untransformed as never), /transform to have mean and std/);
  });

  test('a transform that gives no image', async () => {
    const { mean, std } = model.transform;
    const transform = Object.assign(async (x: unknown) => x, { mean, std });
    const other = await create({ transform, device: 'cpu' });
    await failing(() => other.classify([FIRST]), /a uint8 Tensor \[h, w, 3\] for what the transform gives/);
    await other.close();
  });
});

test('onError may be held in a variable', async () => {
  const onError = 'return' as 'throw' | 'return';
  const results: (Prediction[] | Failure)[] = await classifier.classify([FIRST, ABSENT], { onError });
  expect(results.map((result) => 'error' in result)).toEqual([false, true]);
});

test('a model is traced once', async () => {
  let reads = 0;
  const { graph, parameters, transform, categories } = model;
  const counted = {
    get graph() {
      reads++;
      return graph;
    },
    ...{ parameters, transform, categories },
  };
  await (await createClassifier(counted, { device: 'cpu' })).close();
  await (await createFeatureExtractor(counted, { device: 'cpu', outputs: ['avgpool'] })).close();
  expect(reads).toBe(2);
});
