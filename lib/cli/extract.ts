import type { Command } from 'commander';
import { throwIfAborted } from '../errors.js';
import { type AloneRates, rateTogether } from '../extract/alone.js';
import {
  type ExtractFeaturesOptions,
  type ExtractProgress,
  type ExtractSummary,
  extractFeatures,
} from '../extract/extract-features.js';
import type { QueueAddress } from '../extract/queue/connection.js';
import { extractQueued, type QueuedOptions } from '../extract/queue/extract-queued.js';
import { type QueueStatus, queueStatus, retryParked } from '../extract/queue/status.js';
import type { FeatureFormat, StoredDType } from '../extract/sinks/sink.js';
import { STAGES } from '../extract/stages.js';
import type { Model } from '../models/model.js';
import { CALIBRATION_IMAGES, calibrationImages } from '../tasks/calibration-images.js';
import { withTransform } from '../tasks/image-path.js';
import { chooseModel, readLabels } from './choose-model.js';
import { addModelOptions, type ModelOptions, taskOptions } from './model-options.js';
import { Progress } from './progress.js';
import { percent, printable, unreadText } from './text.js';
import { integer, wrongUsage } from './usage.js';

const EXAMPLES = `
Inputs: image files, folders, globs in quotes, WebDataset shards (.tar) and @FILE, a list with a path a line.

Examples:
  resnet-native extract photos --out features --arch resnet50 --weights DEFAULT
  resnet-native extract 'shards/*.tar' --out features --outputs layer3,avgpool --format parquet --resume
  resnet-native extract @list.txt --out features --store-dtype float16 --normalize --json
  resnet-native extract photos --out features --weights int8.safetensors --dtype int8    as quantize wrote it
  resnet-native extract photos --out features --arch resnet50 --weights DEFAULT --dtype int8 --calibration photos

  resnet-native extract @list.txt --out /shared/features --queue redis://host      on any number of machines
  resnet-native extract status --out /shared/features --queue redis://host
  resnet-native extract retry --out /shared/features --queue redis://host          what failed too often

The folder gets part-00000.avgpool.npy (or .parquet, .safetensors), part-00000.index.jsonl with a line per image,
{"key", "row"} or {"key", "error"}, and manifest.json. --resume goes on after whatever ended the last run.`;

interface ExtractCommandOptions extends ModelOptions {
  readonly out?: string;
  readonly queue?: string;
  readonly outputs: string;
  readonly format: string;
  readonly storeDtype: string;
  readonly pool?: true;
  readonly normalize?: true;
  readonly top: number;
  readonly shardSize: number;
  readonly batch: number;
  readonly calibration?: string;
  readonly resume?: true;
  readonly maxErrors?: number;
  readonly json?: true;
  readonly profile?: true;
}

const JSON_LINE_MS = 1000;

/** `extract`: features of any number of images into files. */
export function addExtract(program: Command, signal: AbortSignal): void {
  const command = program
    .command('extract')
    .description('write features of any number of images to files')
    .argument('<input...>', 'files, folders, globs, .tar shards, or @FILE with a path a line')
    .option('--out <folder>', 'for the features; made if need be')
    .option('--queue <url>', 'share the work with all machines that give this Redis and folder')
    .option('--outputs <names>', 'nodes to extract, with commas between them', 'avgpool')
    .option('--format <format>', 'npy, parquet or safetensors', 'npy')
    .option('--store-dtype <dtype>', 'of the features in the files: float32 or float16', 'float32')
    .option('--pool', 'average features over their height and width')
    .option('--normalize', "bring each image's features to a length of 1")
    .option('--top <n>', 'put the likeliest classes into the index', integer('--top', 0), 0)
    .option('--shard-size <n>', 'images in a part', integer('--shard-size', 1), 10_000)
    .option('--batch <n>', 'images in a run', integer('--batch', 1), 32)
    .option(
      '--calibration <input>',
      `for --dtype int8: images to find ranges with, the first ${CALIBRATION_IMAGES}`,
    )
    .option('--resume', 'go on in a folder with features of the same kind')
    .option('--max-errors <n>', 'bad images to put up with (default: all)', integer('--max-errors', 0))
    .option('--json', 'print progress and summary as JSON lines and nothing else')
    .option('--profile', 'show how busy each stage was, and what decoding and computing do alone');
  addModelOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((inputs: string[], options: ExtractCommandOptions) => extract(inputs, options, signal));
  command
    .command('status')
    .description('show how far the machines of a --queue are')
    .action((_, self: Command) => showStatus(self.optsWithGlobals()));
  command
    .command('retry')
    .description('put parts that failed too often back into a --queue')
    .action((_, self: Command) => retry(self.optsWithGlobals()));
}

async function extract(
  inputs: readonly string[],
  options: ExtractCommandOptions,
  signal: AbortSignal,
): Promise<void> {
  const out = checkedOut(options);
  const labels = options.labels === undefined ? undefined : await readLabels(options.labels);
  const { pool, normalize, top, shardSize, batch } = options;
  const outputs = options.outputs.split(',');
  // Classes and calibration need all of the network.
  const isPart = top === 0 && options.calibration === undefined;
  const model = await chooseModel(options, isPart ? outputs : undefined);
  throwIfAborted(signal);
  const extraction = {
    ...taskOptions(options),
    ...calibrationOptions(model, options, signal),
    out,
    outputs,
    format: options.format as FeatureFormat,
    storeDtype: options.storeDtype as StoredDType,
    ...{ pool, normalize, topK: top, labels, shardSize, batch, signal },
  };
  if (options.queue === undefined) return extractAlone(model, inputs, extraction, options);
  return extractTogether(model, inputs, { ...extraction, queue: options.queue }, options);
}

/** The images to calibrate with, in the size that the features will be of. */
function calibrationOptions(model: Model, options: ExtractCommandOptions, signal: AbortSignal) {
  const { calibration, dtype } = options;
  if (calibration === undefined) return {};
  if (dtype !== 'int8') throw wrongUsage('--calibration goes with --dtype int8');
  const { transform } = withTransform(model, taskOptions(options).transform);
  const onErrors = (count: number, last: Error) => console.error(unreadText(count, last));
  return { calibration: calibrationImages(calibration, transform, { signal, onErrors }) };
}

function checkedOut({ out }: ExtractCommandOptions): string {
  if (out === undefined) throw wrongUsage('--out is missing: the folder for the features');
  return out;
}

async function extractAlone(
  model: Model,
  inputs: readonly string[],
  extraction: ExtractFeaturesOptions,
  { json, profile, resume, maxErrors }: ExtractCommandOptions,
): Promise<void> {
  const progress = new Progress('images');
  const onProgress = json ? jsonLines() : (seen: ExtractProgress) => showProgress(progress, seen);
  try {
    const run = { ...extraction, resume, maxErrors, profile, onProgress };
    const summary = await extractFeatures(model, inputs, run);
    progress.clear();
    if (json) process.stdout.write(`${JSON.stringify({ event: 'done', ...summary })}\n`);
    else process.stdout.write(summaryText(summary, extraction.out));
    if (profile && !json) process.stdout.write(profileTable(summary));
  } finally {
    progress.clear();
  }
}

async function extractTogether(
  model: Model,
  inputs: readonly string[],
  extraction: QueuedOptions,
  { json, resume, maxErrors, profile }: ExtractCommandOptions,
): Promise<void> {
  if (resume || profile || maxErrors !== undefined) {
    throw wrongUsage('--resume, --profile and --max-errors do not go with --queue, which goes on by itself');
  }
  const progress = new Progress('parts');
  const line = (event: string, status: QueueStatus) =>
    process.stdout.write(`${JSON.stringify({ event, ...status })}\n`);
  const onStatus = (status: QueueStatus) => {
    const { waiting, active, done, parked } = status;
    const bad = parked.length > 0 ? `  ${parked.length} parked` : '';
    if (json) line('progress', status);
    else progress.update(done, waiting + active + done + parked.length, bad);
  };
  try {
    const status = await extractQueued(model, inputs, { ...extraction, onStatus });
    progress.clear();
    if (json) line('done', status);
    else process.stdout.write(statusText(status));
    if (status.parked.length > 0) process.exitCode = 1;
  } finally {
    progress.clear();
  }
}

function addressOf(options: ExtractCommandOptions): QueueAddress {
  if (options.queue === undefined) throw wrongUsage('--queue is missing: redis://host of the machines');
  return { url: options.queue, out: checkedOut(options) };
}

async function showStatus(options: ExtractCommandOptions): Promise<void> {
  const status = await queueStatus(addressOf(options));
  process.stdout.write(options.json ? `${JSON.stringify(status)}\n` : statusText(status));
}

async function retry(options: ExtractCommandOptions): Promise<void> {
  const count = await retryParked(addressOf(options));
  process.stdout.write(options.json ? `${JSON.stringify({ retried: count })}\n` : `${count} parts retried\n`);
}

function statusText({ planned, waiting, active, done, parked }: QueueStatus): string {
  const known = planned ? '' : ' (more may come: the inputs are still being cut into parts)';
  const rows = parked.map(({ part, error }) => `${part}  ${printable(error)}\n`);
  const counts = `${done} parts done, ${active} under way, ${waiting} waiting, ${parked.length} parked`;
  return `${counts}${known}\n${rows.join('')}`;
}

function showProgress(bar: Progress, { images, skipped, total, errors, boundedBy }: ExtractProgress): void {
  const left = total === undefined ? undefined : Math.max(total - skipped, images);
  const bad = errors > 0 ? `  ${errors} bad` : '';
  bar.update(images, left, `  ${boundedBy} bounds${bad}`);
}

/** At most one line a second: a program that reads them needs no more. */
function jsonLines(): (progress: ExtractProgress) => void {
  let next = 0;
  return (progress) => {
    if (performance.now() < next) return;
    next = performance.now() + JSON_LINE_MS;
    process.stdout.write(`${JSON.stringify({ event: 'progress', ...progress })}\n`);
  };
}

function summaryText({ images, errors, skipped, seconds }: ExtractProgress, out: string): string {
  const before = skipped > 0 ? `; ${skipped} were there already` : '';
  const bad = errors > 0 ? `; ${errors} could not be read: the index says why` : '';
  const rate = (images / seconds).toFixed(1);
  return `${images} images in ${seconds.toFixed(1)} s, ${rate} images/s, into ${out}${before}${bad}\n`;
}

function profileTable({ stages, images: done, seconds, boundedBy, alone }: ExtractSummary): string {
  const rows = STAGES.map((stage) => {
    const { images, activeMs } = stages[stage];
    const each = images > 0 ? `${(activeMs / images).toFixed(2)} ms an image` : '';
    const mark = stage === boundedBy ? '  bounds' : '';
    return `${stage.padEnd(8)}${percent(activeMs / 1000 / seconds)} of the time${each.padStart(20)}${mark}`;
  });
  return `${[...rows, ...(alone ? aloneRows(alone, done / seconds) : [])].join('\n')}\n`;
}

function aloneRows(alone: AloneRates, rate: number): string[] {
  const { images, decode, compute } = alone;
  const slower = Math.min(decode, compute);
  const share = percent(rate / slower);
  const together = rateTogether(alone);
  return [
    `alone   decoding ${decode.toFixed(1)} and computing ${compute.toFixed(1)} images/s, on the first ${images}`,
    `in all  ${rate.toFixed(1)} images/s: ${share} of the slower; sharing the cores allows ${together.toFixed(1)}`,
  ];
}
