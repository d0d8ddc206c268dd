import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { throwIfAborted } from '../errors.js';
import { getWeight, WEIGHTS_ENUMS, type WeightsEntry } from '../models/weights-entries.js';
import { shapeSize } from '../shape.js';
import { cachedWeightsPath, fetchWeights } from '../weights/hub.js';
import { readMetadata, readStateDict, withWeightsFile } from '../weights/read.js';
import type { Metadata } from '../weights/safetensors.js';
import { saveSafetensors } from '../weights/save.js';
import { itemSize, type StateTensor } from '../weights/state-dict.js';
import { Progress } from './progress.js';
import { printable, widthOf } from './text.js';
import { checkWritable, wrongUsage } from './usage.js';

const EXAMPLES = `
Examples:
  resnet-native weights list
  resnet-native weights download ResNet50_Weights.IMAGENET1K_V2
  resnet-native weights inspect checkpoint.pth
  resnet-native weights convert checkpoint.pth --to checkpoint.safetensors

Downloads are kept in the folder hub of RESNET_NATIVE_HOME (default: ~/.cache/resnet-native).`;

interface JsonOption {
  readonly json?: true;
}

/** `weights`: what pretrained weights there are, and what is in files of them. */
export function addWeights(program: Command, signal: AbortSignal): void {
  const command = program
    .command('weights')
    .description('list and download pretrained weights, look into files and convert them')
    .addHelpText('after', EXAMPLES);
  const add = (usage: string, description: string) =>
    command.command(usage).description(description).option('--json', 'print one JSON value and nothing else');
  add('list', 'show all pretrained weights, and which of them are here').action(list);
  add('download <entry>', 'fetch pretrained weights, unless they are here, and print their path').action(
    (entry: string, options: JsonOption) => download(entry, options, signal),
  );
  add('inspect <file>', "show a file's tensors and metadata; no data is read").action(inspect);
  add('convert <file>', 'write the tensors of any weights file as .safetensors')
    .requiredOption('--to <file>', 'the .safetensors file to write')
    .action((file: string, options: ConvertOptions) => convert(file, options, signal));
}

function list({ json }: JsonOption): void {
  const entries = Object.values(WEIGHTS_ENUMS).flatMap((weights) => Object.values(weights));
  process.stdout.write(json ? jsonLine(entries.map(factsOf)) : listText(entries));
}

function listText(entries: readonly WeightsEntry[]): string {
  const width = widthOf(entries.map(String));
  const rows = entries.map((entry) => {
    const { accuracy, megabytes } = entry.meta;
    const here = existsSync(cachedWeightsPath(entry)) ? '  here' : '';
    const size = `${megabytes.toFixed(1).padStart(6)} MB`;
    return `${String(entry).padEnd(width)}  ${accuracy.top1.toFixed(2)}% top-1  ${size}${here}\n`;
  });
  return rows.join('');
}

function factsOf(entry: WeightsEntry) {
  const { numParams, accuracy, gflops, megabytes, recipe } = entry.meta;
  const path = cachedWeightsPath(entry);
  return {
    entry: String(entry),
    url: entry.url,
    ...{ numParams, accuracy, gflops, megabytes, recipe },
    path: existsSync(path) ? path : null,
  };
}

async function download(name: string, { json }: JsonOption, signal: AbortSignal): Promise<void> {
  const entry = getWeight(name);
  const bar = new Progress('MB');
  const progress = (received: number, total: number | undefined) => {
    throwIfAborted(signal);
    if (total !== undefined) bar.update(received / 1e6, total / 1e6);
  };
  const path = await fetchWeights(entry, { progress }).finally(() => bar.clear());
  process.stdout.write(json ? jsonLine({ entry: String(entry), path }) : `${path}\n`);
}

/** What a file holds, but for the data. */
interface FileFacts {
  readonly tensors: readonly Pick<StateTensor & { key: string }, 'key' | 'dtype' | 'shape'>[];
  readonly metadata: Metadata;
}

async function inspect(file: string, { json }: JsonOption): Promise<void> {
  const facts = await withWeightsFile(file, async ({ tensors, metadata }) => ({
    tensors: [...tensors].map(([key, { dtype, shape }]) => ({ key, dtype, shape })),
    metadata,
  }));
  process.stdout.write(json ? jsonLine({ file, ...facts }) : fileText(facts));
}

function fileText({ tensors, metadata }: FileFacts): string {
  const width = widthOf(tensors.map(({ key }) => key));
  const rows = tensors.map(
    ({ key, dtype, shape }) => `${printable(key).padEnd(width)}  ${dtype.padEnd(8)}  [${shape.join(', ')}]`,
  );
  const bytes = tensors.reduce((sum, { dtype, shape }) => sum + shapeSize(shape) * itemSize(dtype), 0);
  const names = Object.keys(metadata).map(printable).join(', ') || 'none';
  const last = `${tensors.length} tensors, ${(bytes / 1e6).toFixed(1)} MB; metadata: ${names}`;
  return `${[...rows, last].join('\n')}\n`;
}

interface ConvertOptions extends JsonOption {
  readonly to: string;
}

async function convert(file: string, { to, json }: ConvertOptions, signal: AbortSignal): Promise<void> {
  if (!to.endsWith('.safetensors')) throw wrongUsage('--to must be a .safetensors file');
  await checkWritable(to);
  const state = await readStateDict(file);
  const metadata = await readMetadata(file);
  throwIfAborted(signal);
  await saveSafetensors(to, state, { metadata });
  const tensors = state.size;
  process.stdout.write(json ? jsonLine({ file, to, tensors }) : `${to}: ${tensors} tensors\n`);
}

function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
