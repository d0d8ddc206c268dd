import type { Command } from 'commander';
import { throwIfAborted } from '../errors.js';
import { type Classifier, createClassifier, type Failure } from '../tasks/classifier.js';
import type { Prediction } from '../tasks/predictions.js';
import { chooseModel, readLabels } from './choose-model.js';
import { addModelOptions, type ModelOptions, taskOptions } from './model-options.js';
import { Progress } from './progress.js';
import { percent, printable, stylesFor, widthOf } from './text.js';
import { integer } from './usage.js';

const EXAMPLES = `
Examples:
  resnet-native classify digit.png
  resnet-native classify photos/*.jpg --weights ResNet50_Weights.IMAGENET1K_V2 --top 3
  resnet-native classify a.jpg b.jpg --arch resnet50 --weights resnet50-11ad3fa6.pth --json

With --json each file gives one line, {"file", "results": [{"index", "label", "probability"}]} or
{"file", "error": {"code", "message"}}. A file that cannot be read is reported in its place; the exit code is then 1.`;

interface ClassifyOptions extends ModelOptions {
  readonly top: number;
  readonly json?: true;
}

type Result = readonly Prediction[] | Failure;
type Format = (file: string, result: Result) => string;

const MAX_BATCH = 32;
const MAX_FILE_WIDTH = 60;

/** `classify`: what image files show. */
export function addClassify(program: Command, signal: AbortSignal): void {
  const command = program
    .command('classify')
    .description('say what image files show')
    .argument('<file...>', 'image files: JPEG, PNG, WebP, GIF, TIFF or AVIF')
    .option('--top <n>', 'classes to give for each image', integer('--top', 1), 5)
    .option('--json', 'print one JSON line a file and nothing else');
  addModelOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((files: string[], options: ClassifyOptions) => classify(files, options, signal));
}

async function classify(
  files: readonly string[],
  options: ClassifyOptions,
  signal: AbortSignal,
): Promise<void> {
  const labels = options.labels === undefined ? undefined : await readLabels(options.labels);
  const model = await chooseModel(options);
  throwIfAborted(signal);
  const maxBatch = Math.min(files.length, MAX_BATCH);
  const classifier = await createClassifier(model, { ...taskOptions(options), maxBatch, labels });
  try {
    const format = options.json ? jsonLine : tableRows(files, classifier.labels);
    const failed = await printAll(files, classifier, format, options.top, signal);
    if (failed === 0) return;
    console.error(`${failed} of ${files.length} files could not be read`);
    process.exitCode = 1;
  } finally {
    await classifier.close();
  }
}

/** Prints each result as it comes, and returns how many are failures. */
async function printAll(
  files: readonly string[],
  classifier: Classifier,
  format: Format,
  topK: number,
  signal: AbortSignal,
): Promise<number> {
  const progress = new Progress('images');
  let done = 0;
  let failed = 0;
  try {
    for await (const result of classifier.stream(files, { topK, signal, onError: 'return' })) {
      if (process.stdout.isTTY) progress.clear();
      process.stdout.write(format(files[done++] as string, result));
      if ('error' in result) failed++;
      progress.update(done, files.length);
    }
  } finally {
    progress.clear();
  }
  return failed;
}

function jsonLine(file: string, result: Result): string {
  if (!('error' in result)) return `${JSON.stringify({ file, results: result })}\n`;
  const { code, message } = result.error;
  return `${JSON.stringify({ file, error: { code, message } })}\n`;
}

/** A table's rows, one a class, in columns that are wide enough for all that may come. */
function tableRows(files: readonly string[], labels: readonly string[] | undefined): Format {
  const style = stylesFor(process.stdout);
  const fileWidth = widthOf(files.map(printable), MAX_FILE_WIDTH);
  const nameOf = ({ label, index }: Prediction) => (label === null ? `class ${index}` : printable(label));
  const labelWidth = labels ? widthOf(labels.map(printable)) : 'class 9999'.length;
  return (file, result) => {
    const name = printable(file).padEnd(fileWidth);
    if ('error' in result) return `${name}  ${style('red', `error: ${printable(result.error.message)}`)}\n`;
    const rows = result.map((prediction, i) => {
      const row = `${nameOf(prediction).padEnd(labelWidth)}  ${percent(prediction.probability)}`;
      return i === 0 ? `${name}  ${style('bold', row)}\n` : `${' '.repeat(fileWidth)}  ${row}\n`;
    });
    return rows.join('');
  };
}
