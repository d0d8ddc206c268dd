import type { Command } from 'commander';
import { throwIfAborted } from '../errors.js';
import { quantizeModel } from '../models/quantize.js';
import type { QuantizationOptions } from '../runtime/quantization.js';
import { countEntries } from '../sources/inputs.js';
import { CALIBRATION_IMAGES, calibrationImages } from '../tasks/calibration-images.js';
import { type LayerNoise, measureNoise } from '../tasks/noise.js';
import type { Tensor } from '../tensor.js';
import { classification } from '../transforms/index.js';
import { saveSafetensors } from '../weights/save.js';
import { chooseModel, readLabels } from './choose-model.js';
import { addModelOptions, type ModelOptions, taskOptions } from './model-options.js';
import { Progress } from './progress.js';
import { stylesFor, unreadText, widthOf } from './text.js';
import { checkWritable, integer, wrongUsage } from './usage.js';

const EXAMPLES = `
Examples:
  resnet-native quantize --calibration photos --out resnet50-int8.safetensors --weights resnet50.pth --arch resnet50
  resnet-native quantize --calibration photos --out model-int8.safetensors --weights model.safetensors --report
  resnet-native classify cat.jpg --weights resnet50-int8.safetensors --dtype int8

The images should be like those that the network will see; a few dozen to a few hundred are enough. They are resized
and cropped as the weights want it (or as --resize and --crop say). Those that cannot be read are left out, with a
warning; if they are more than half, that is an error. The file holds int8 weights and a scale for every value, and
needs no calibration when it is loaded.

--report compares int8 with float32 layer by layer, on some of the images: the signal-to-noise ratio of each value in
decibels (20 is an error of a tenth, 40 of a hundredth). With --json it is printed as one JSON object,
{"out", "images", "errors", "layers": [{"name", "decibels"}]}.`;

interface QuantizeCommandOptions extends ModelOptions {
  readonly calibration: string;
  readonly out: string;
  readonly images: number;
  readonly method: string;
  readonly percentile: number;
  readonly firstLayer: string;
  readonly lastLayer: string;
  readonly report?: true;
  readonly json?: true;
}

/** `quantize`: a model in int8, by the ranges that images show. */
export function addQuantize(program: Command, signal: AbortSignal): void {
  const command = program
    .command('quantize')
    .description('make an int8 model of a float32 one, by running it over images')
    .requiredOption(
      '--calibration <input>',
      'images: a folder, a glob, a .tar, or @FILE with one path a line',
    )
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .option('--images <n>', 'use at most so many of the images', integer('--images', 1), CALIBRATION_IMAGES)
    .option('--method <name>', 'how ranges are found: mse, minmax or percentile', 'mse')
    .option('--percentile <p>', 'of its method: per cent of values that are not cut off', Number, 99.99)
    .option('--first-layer <dtype>', 'int8 or float32', 'int8')
    .option('--last-layer <dtype>', 'int8 or float32', 'int8')
    .option('--report', 'compare int8 with float32, layer by layer')
    .option('--json', 'print one JSON object and nothing else');
  addModelOptions(command, { dtype: false })
    .addHelpText('after', EXAMPLES)
    .action((options: QuantizeCommandOptions) => quantize(options, signal));
}

async function quantize(options: QuantizeCommandOptions, signal: AbortSignal): Promise<void> {
  if (!options.out.endsWith('.safetensors')) throw wrongUsage('--out must be a .safetensors file');
  await checkWritable(options.out);
  const model = await chooseModel(options);
  if (options.labels !== undefined) model.categories = await readLabels(options.labels);
  const { transform: sizes, threads } = taskOptions(options);
  const { device } = options;
  model.transform = { ...model.transform, ...sizes };

  const total = await countEntries(options.calibration, signal);
  const progress = new Progress('images');
  const sample: Tensor[] = [];
  let images = 0;
  let errors = 0;
  const transform = classification(model.transform);
  const batches = calibrationImages(options.calibration, transform, {
    limit: options.images,
    signal,
    onErrors: (count, last) => {
      errors = count;
      progress.clear();
      console.error(unreadText(count, last));
    },
  });
  const quantized = await quantizeModel(model, keepFirst(batches, sample), {
    ...quantizationOptions(options),
    device: device === 'auto' ? undefined : device,
    threads,
    onImages: (seen) => {
      images = seen;
      progress.update(seen, total === undefined ? undefined : Math.min(total, options.images));
    },
  }).finally(() => progress.clear());
  throwIfAborted(signal);
  await saveSafetensors(options.out, quantized);
  const layers = options.report
    ? await measureNoise(model, quantized, sample, { device, threads })
    : undefined;
  const result = { out: options.out, images, errors, ...(layers && { layers }) };
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : text(options.out, images, layers));
}

function quantizationOptions(options: QuantizeCommandOptions): QuantizationOptions {
  const { method, percentile, firstLayer, lastLayer } = options;
  return { method, percentile, firstLayer, lastLayer } as QuantizationOptions;
}

/** Passes batches on and keeps the first, for the report. */
async function* keepFirst(batches: AsyncIterable<Tensor>, kept: Tensor[]): AsyncGenerator<Tensor> {
  for await (const batch of batches) {
    if (kept.length === 0) kept.push(batch);
    yield batch;
  }
}

function text(out: string, images: number, layers: readonly LayerNoise[] | undefined): string {
  const head = `${out}: int8, calibrated with ${images} images\n`;
  if (!layers) return head;
  const style = stylesFor(process.stdout);
  const width = widthOf(layers.map(({ name }) => name));
  const rows = layers.map(
    ({ name, decibels }) => `${name.padEnd(width)}  ${decibels.toFixed(1).padStart(6)} dB`,
  );
  return `${[head, style('bold', `${'layer'.padEnd(width)}  signal to noise`), ...rows].join('\n')}\n`;
}
