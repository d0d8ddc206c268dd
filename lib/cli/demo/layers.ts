import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resnet50 } from '../../models/builders.js';
import type { StepProfile } from '../../runtime/session.js';
import { createFeatureExtractor } from '../../tasks/extractor.js';
import { Tensor } from '../../tensor.js';
import { classification } from '../../transforms/index.js';
import { type Styler, widthOf } from '../text.js';
import { drawBar, drawSparkline } from './drawing.js';

const PHOTO = fileURLToPath(new URL('../../../test/golden/images/china.jpg', import.meta.url));
const PROFILES = 5;
const SLOWEST = 5;
const BAR_WIDTH = 24;
const SPARKLINE_WIDTH = 64;

/** What one row of the tables tells of: a step, or the steps of a stage. */
interface Timing {
  readonly name: string;
  readonly kernel: string;
  readonly ms: number;
  readonly macs: number;
}

/** Features of a photograph from a ResNet-50 with random weights, and where the time goes. */
export async function demoLayers(style: Styler): Promise<void> {
  const model = await resnet50();
  const extractor = await createFeatureExtractor(model, { outputs: ['avgpool'], maxBatch: 1 });
  const { avgpool } = await extractor.extract([PHOTO]);
  const features = (avgpool as Tensor<Float32Array>).data;
  console.log(`  ${basename(PHOTO)} → avgpool, ${features.length} features:`);
  console.log(`  ${style('cyan', drawSparkline(features, SPARKLINE_WIDTH))}\n`);

  const { data, shape } = await classification(model.transform)(PHOTO);
  const batch = Tensor.fromUint8(data, [1, ...shape]);
  const profiles: StepProfile[][] = [];
  for (let i = 0; i < PROFILES; i++) profiles.push(await extractor.session.profile(batch));
  await extractor.close();
  const steps = fastest(profiles);
  const stages = byStage(steps);
  console.log(table('stage', [...stages, { ...total(steps), name: 'all' }], total(steps).ms, style));
  const slowest = [...steps].sort((a, b) => b.ms - a.ms).slice(0, SLOWEST);
  console.log(`\n${table(`slowest of ${steps.length} steps`, slowest, total(steps).ms, style)}\n`);
}

/** Each step's best time, which other work on the machine disturbs least. */
function fastest(profiles: readonly StepProfile[][]): StepProfile[] {
  const [first = [], ...others] = profiles;
  return first.map((step, i) => ({
    ...step,
    ms: Math.min(step.ms, ...others.map((p) => p[i]?.ms ?? step.ms)),
  }));
}

function total(steps: readonly Timing[]): Timing {
  const sum = (of: (step: Timing) => number) => steps.reduce((all, step) => all + of(step), 0);
  return {
    name: '',
    kernel: `${steps.length} steps`,
    ms: sum((step) => step.ms),
    macs: sum((step) => step.macs),
  };
}

function byStage(steps: readonly StepProfile[]): Timing[] {
  const stageOf = ({ name }: StepProfile) =>
    /^layer\d+/.exec(name)?.[0] ?? (name === 'avgpool' ? name : 'stem');
  const stages = [...new Set(steps.map(stageOf))];
  return stages.map((stage) => ({ ...total(steps.filter((step) => stageOf(step) === stage)), name: stage }));
}

/** Rows of time, speed (a multiply-add counts as two operations) and the share of `wholeMs` as a bar. */
function table(title: string, rows: readonly Timing[], wholeMs: number, style: Styler): string {
  const nameWidth = widthOf([title, ...rows.map(({ name }) => name)]);
  const kernelWidth = widthOf(rows.map(({ kernel }) => kernel));
  const head = `${title.padEnd(nameWidth)}  ${' '.repeat(kernelWidth)}  ${'ms'.padStart(7)}  GFLOP/s`;
  const lines = rows.map(({ name, kernel, ms, macs }) => {
    const speed = macs > 0 ? ((2 * macs) / ms / 1e6).toFixed(0) : '';
    const cells = [
      name.padEnd(nameWidth),
      style('dim', kernel.padEnd(kernelWidth)),
      ms.toFixed(2).padStart(7),
    ];
    return `  ${cells.join('  ')}  ${speed.padStart(7)}  ${style('cyan', drawBar(ms / wholeMs, BAR_WIDTH))}`;
  });
  return [`  ${style('bold', head)}`, ...lines].join('\n');
}
