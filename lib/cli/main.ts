#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { ResNetError } from '../errors.js';
import { addBench } from './bench.js';
import { addClassify } from './classify.js';
import { endWhenStdoutCloses } from './closed-stdout.js';
import { addDevices } from './devices.js';
import { addExtract } from './extract.js';
import { addQuantize } from './quantize.js';
import { addServe } from './serve.js';
import { addWeights } from './weights.js';

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;
const INTERRUPTED = 130;
const GRACE_MS = 1000;

const EXAMPLES = `
Examples:
  resnet-native classify digit.png                 with the model that the package ships
  resnet-native classify *.jpg --arch resnet50 --weights resnet50-11ad3fa6.pth --json
  resnet-native extract photos --out features      features of all images in a folder
  resnet-native serve                              the digits model over HTTP, with a web page
  resnet-native quantize --calibration photos --out int8.safetensors    the shipped model in int8
  resnet-native weights list                       pretrained weights; also download, inspect, convert
  resnet-native devices                            what computes here, and why something does not
  resnet-native bench --peers onnxruntime          how fast this machine is, and another engine on it

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`;

function createProgram(signal: AbortSignal): Command {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
  const program = new Command('resnet-native')
    .description(
      'ResNets at the speed of the hardware: classify images, extract features, serve models, see how fast it is.',
    )
    .version(version)
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  addClassify(program, signal);
  addExtract(program, signal);
  addDevices(program);
  addWeights(program, signal);
  addQuantize(program, signal);
  addBench(program, signal);
  addServe(program, signal);
  return program;
}

/**
 * A signal that the first Ctrl-C aborts, for commands to end cleanly. What has not ended a second later (it may be
 * reading from a slow disk), or by the next Ctrl-C, is ended.
 */
function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  process.on('SIGINT', () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
    setTimeout(() => process.exit(INTERRUPTED), GRACE_MS).unref();
  });
  return controller.signal;
}

/** Says what went wrong, unless commander has, and returns the exit code. */
function report(error: unknown, signal: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE;
  if (signal.aborted) {
    console.error('Interrupted');
    return INTERRUPTED;
  }
  if (!(error instanceof ResNetError)) {
    console.error(error);
    return FAILED;
  }
  const wrongUsage = error.code === 'INVALID_ARGUMENT';
  console.error(`error: ${error.message}${wrongUsage ? '' : ` (${error.code})`}`);
  return wrongUsage ? WRONG_USAGE : FAILED;
}

endWhenStdoutCloses();
const signal = interruptSignal();
try {
  await createProgram(signal).parseAsync();
} catch (error) {
  process.exitCode = report(error, signal);
}
