import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../models/load.js';
import { devices } from '../../runtime/devices.js';
import { createClassifier } from '../../tasks/classifier.js';
import type { Prediction } from '../../tasks/predictions.js';
import { classification } from '../../transforms/index.js';
import { SHIPPED_MODEL } from '../choose-model.js';
import { percent, type Styler } from '../text.js';
import { drawPixels } from './drawing.js';

const HELD_OUT = fileURLToPath(new URL('../../../models/digits-heldout/', import.meta.url));
const SIDE = 12;
const SHOWN = 6;

/** A held-out picture, named after its digit (`0418-5.png`), and what the model says of it. */
interface Answer {
  readonly file: string;
  readonly digit: string;
  readonly best: Prediction;
}

/** Classifies the digits that the shipped model has not seen, and shows some of them and all it gets wrong. */
export async function demoDigits(style: Styler): Promise<void> {
  const files = (await readdir(HELD_OUT)).filter((name) => name.endsWith('.png')).sort();
  const classifier = await createClassifier(await loadModel(SHIPPED_MODEL));
  const device = (await devices()).find(({ id }) => id === classifier.session.device);
  console.log(`  on ${device?.id}: ${device?.name}, ${device?.isa}\n`);

  const start = performance.now();
  const results = await classifier.classify(
    files.map((name) => join(HELD_OUT, name)),
    { topK: 1 },
  );
  const seconds = (performance.now() - start) / 1000;
  await classifier.close();

  const answers = results.map(([best], i): Answer => {
    const file = files[i] as string;
    return { file, digit: /-(\d)\.png$/.exec(file)?.[1] ?? '', best: best as Prediction };
  });
  const [right, wrong] = [answers.filter(isRight), answers.filter((answer) => !isRight(answer))];
  console.log(await strip(spread(right, SHOWN), style));
  console.log(`\n  What it gets wrong${wrong.length > SHOWN ? `, ${SHOWN} of ${wrong.length}` : ''}:\n`);
  console.log(await strip(wrong.slice(0, SHOWN), style));
  const share = percent(right.length / answers.length).trim();
  console.log(`\n  ${style('bold', `${right.length} of ${answers.length} right (${share})`)}`);
  console.log(
    `  ${style('bold', `${Math.round(answers.length / seconds)} images/s`)}, from PNG file to label\n`,
  );
}

function isRight({ digit, best }: Answer): boolean {
  return best.label === digit;
}

/** `count` of `items`, evenly apart. */
function spread<T>(items: readonly T[], count: number): T[] {
  return items.filter(
    (_, i) => Math.floor((i * count) / items.length) !== Math.floor(((i - 1) * count) / items.length),
  );
}

/** Pictures side by side, each with its name and what the model says below. */
async function strip(answers: readonly Answer[], style: Styler): Promise<string> {
  const blocks = await Promise.all(answers.map((answer) => block(answer, style)));
  const height = blocks[0]?.length ?? 0;
  const lines = Array.from({ length: height }, (_, y) => blocks.map((lines) => lines[y]).join(' '));
  return lines.map((line) => `  ${line}`).join('\n');
}

async function block(answer: Answer, style: Styler): Promise<string[]> {
  const { data } = await classification({ resizeSize: SIDE, cropSize: SIDE })(join(HELD_OUT, answer.file));
  const says = `${answer.best.label}  ${percent(answer.best.probability)}`.padEnd(SIDE);
  const truth = `it is a ${answer.digit}`.padEnd(SIDE);
  return [
    ...drawPixels(data, SIDE, SIDE, style.colours),
    style('dim', basename(answer.file, '.png').padEnd(SIDE)),
    ...(isRight(answer) ? [style('green', says)] : [style('red', says), truth]),
  ];
}
