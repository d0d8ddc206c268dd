import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type BenchOptions, benchmark } from '../bench/benchmark.js';
import { benchNetworkNames } from '../bench/networks.js';
import { PEERS, type PeerName } from '../bench/peers.js';
import { profileSvg } from '../bench/profile-svg.js';
import { type Cell, type Results, readResults } from '../bench/results.js';
import { cellText, layersTable, machineText, remarks, resultsTable } from '../bench/text.js';
import { traceEvents } from '../bench/trace-events.js';
import type { Autotune } from '../runtime/compile.js';
import { AUTOTUNE_HELP } from './model-options.js';
import { checkWritable, integer } from './usage.js';

const EXAMPLES = `
Examples:
  resnet-native bench --arch resnet50 --batch 1,8,32
  resnet-native bench --arch resnet18,resnet50 --peers onnxruntime --out results.json
  resnet-native bench --peers onnxruntime,openvino,torch --python ~/venv/bin/python
  resnet-native bench --arch resnet50 --batch 1 --profile plots --trace trace.json
  resnet-native bench --compare results.json

Networks: ${benchNetworkNames().join(', ')}. Their weights are random; none are downloaded.
Peers are measured beside this package where they are installed, in processes of their own, in turn. The peers
autotune-quick, autotune-full and memory-low are this package with these options of compile; the load of the first two
includes what they measure, unless it was kept from before (RESNET_NATIVE_HOME says where).`;

interface BenchCommandOptions {
  readonly arch: readonly string[];
  readonly dtype: readonly string[];
  readonly device: readonly string[];
  readonly batch: readonly number[];
  readonly size?: number;
  readonly threads?: number;
  readonly autotune?: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly peers: readonly string[];
  readonly python?: string;
  readonly profile?: true | string;
  readonly trace?: string;
  readonly out?: string;
  readonly compare?: string;
  readonly json?: true;
}

/** `bench`: how fast this machine is, and others beside it. */
export function addBench(program: Command, signal: AbortSignal): void {
  program
    .command('bench')
    .description('measure networks on this machine, beside other engines if asked')
    .option('--arch <names>', 'networks, with commas between them', names, ['resnet18', 'resnet50'])
    .option('--batch <numbers>', 'images in a run', integers('--batch'), [1, 8])
    .option('--dtype <names>', 'float32, tf32, float16, bfloat16 or int8', names, ['float32'])
    .option('--device <names>', 'cpu, cuda, reference', names, ['cpu'])
    .option('--size <pixels>', "height and width (default: the network's usual)", integer('--size', 1))
    .option('--threads <n>', 'of the CPU (default: all there are)', integer('--threads', 1))
    .option('--autotune <mode>', AUTOTUNE_HELP)
    .option('--seconds <n>', 'to measure each engine for', Number, 5)
    .option('--rounds <n>', 'in which engines take turns', integer('--rounds', 1), 5)
    .option('--peers <names>', `engines to compare with: ${PEERS.join(', ')}`, names, [])
    .option('--python <file>', 'interpreter that has openvino and torch')
    .option('--profile [folder]', 'time each layer; into the folder goes a plot of each network')
    .option('--trace <file>', 'write the times of the layers as a Chrome trace')
    .option('--out <file>', 'write all results, with every time measured, as JSON')
    .option('--compare <file>', 'say how much faster it is than in a file that --out wrote')
    .option('--json', 'print the JSON instead of the table')
    .addHelpText('after', EXAMPLES)
    .action((options: BenchCommandOptions) => bench(options, signal));
}

async function bench(options: BenchCommandOptions, signal: AbortSignal): Promise<void> {
  const { profile, trace, out } = options;
  const earlier = options.compare === undefined ? undefined : await readResults(options.compare);
  for (const file of [trace, out]) if (file !== undefined) await checkWritable(file);
  const folder = typeof profile === 'string' ? profile : undefined;
  if (folder !== undefined) await mkdir(folder, { recursive: true });

  const onCell = (cell: Cell) => console.error(cellText(cell));
  const results = await benchmark(benchOptions(options), { signal, onCell });

  const json = `${JSON.stringify(results)}\n`;
  if (out !== undefined) await writeFile(out, json);
  if (trace !== undefined) await writeFile(trace, JSON.stringify(traceEvents(results.cells)));
  if (folder !== undefined) await writePlots(folder, results);
  process.stdout.write(options.json ? json : report(results, earlier, profile !== undefined));
}

function benchOptions(options: BenchCommandOptions): BenchOptions {
  const { arch, batch, dtype, device, autotune, profile, trace, peers, ...rest } = options;
  return {
    ...rest,
    archs: arch,
    batches: batch,
    dtypes: dtype,
    devices: device,
    autotune: autotune as Autotune | undefined,
    peers: peers as readonly PeerName[],
    profile: profile !== undefined || trace !== undefined,
    command: ['resnet-native', ...process.argv.slice(2)].join(' '),
  };
}

function report(results: Results, earlier: Results | undefined, withLayers: boolean): string {
  const lines = [machineText(results.machine, results.peak), '', ...resultsTable(results, earlier)];
  if (withLayers) {
    for (const cell of results.cells) lines.push('', cellText(cell), ...layersTable(cell, results.peak));
  }
  return [...lines, '', ...remarks(results.cells), ''].join('\n');
}

async function writePlots(folder: string, { cells, peak }: Results): Promise<void> {
  for (const cell of cells) {
    const { arch, dtype, device, batch, height } = cell;
    const name = [arch, dtype, device.replace(':', ''), `${batch}x${height}`].join('-');
    await writeFile(join(folder, `${name}.svg`), profileSvg(cell, peak));
  }
}

function names(list: string): string[] {
  return list.split(',').filter((name) => name !== '');
}

function integers(option: string): (list: string) => number[] {
  const parse = integer(option, 1);
  return (list) => names(list).map(parse);
}
