import type { Command } from 'commander';
import type { Autotune, ComputeDType } from '../runtime/compile.js';
import type { ImageTaskOptions } from '../tasks/image-path.js';
import { integer } from './usage.js';

/** What the options of every command with a model have come to. */
export interface ModelOptions {
  readonly arch?: string;
  readonly weights?: string;
  readonly numClasses?: number;
  readonly labels?: string;
  readonly device: string;
  readonly dtype: string;
  readonly threads?: number;
  readonly autotune?: string;
  readonly resize?: number;
  readonly crop?: number;
}

/** Of the option that `bench` and `serve` have too. */
export const AUTOTUNE_HELP = "off, or measure the CPU's algorithms first: quick or full (default: off)";

/** Adds the options that say which model to use, and how to run it; its dtype and tuning only where there is a choice. */
export function addModelOptions(command: Command, { dtype = true } = {}): Command {
  if (dtype) {
    command
      .option('--dtype <dtype>', 'float32, tf32, float16, bfloat16 or int8', 'float32')
      .option('--autotune <mode>', AUTOTUNE_HELP);
  }
  return command
    .option('--arch <name>', 'architecture that the weights are of: resnet18, resnext50_32x4d, …')
    .option('--weights <file|entry>', 'a weights file, or the name of pretrained weights')
    .option('--num-classes <n>', 'classes of the --arch (default: 1000)', integer('--num-classes', 1))
    .option('--labels <file>', 'class names, one a line or a JSON array (default: those of the weights)')
    .option('--device <device>', 'auto, cpu, cuda, cuda:1, … (several: cuda:0,cuda:1) or reference', 'auto')
    .option('--threads <n>', 'of the CPU (default: all there are)', integer('--threads', 1))
    .option(
      '--resize <pixels>',
      "length of the shorter side (default: the weights' own)",
      integer('--resize', 1),
    )
    .option('--crop <pixels>', "side of the centre square (default: the weights' own)", integer('--crop', 1));
}

/** The options as a task takes them. Which names of devices and dtypes there are is for compile to say. */
export function taskOptions({
  device,
  dtype,
  threads,
  autotune,
  resize,
  crop,
}: ModelOptions): ImageTaskOptions {
  return {
    device: device.includes(',') ? device.split(',') : device,
    dtype: dtype as ComputeDType,
    threads,
    autotune: autotune as Autotune | undefined,
    transform: {
      ...(resize !== undefined && { resizeSize: resize }),
      ...(crop !== undefined && { cropSize: crop }),
    },
  };
}
