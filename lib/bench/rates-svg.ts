import { OWN } from './peers.js';
import { peersOf } from './report.js';
import type { Cell, Results } from './results.js';
import { Drawing } from './svg.js';

const BAR = 14;
const GAP = 12;
const NAMES = 230;
const BARS = 460;
const NUMBERS = 150;
const TOP = 70;
const COLOURS = ['#08519c', '#9ecae1', '#fdae6b', '#bdbdbd'];
const TEXT = '#222222';

/** Images/s of all engines, a group of bars for each cell, every group to its own scale: its fastest is full width. */
export function ratesSvg(results: Results): string {
  const engines = [OWN, ...peersOf(results)];
  const group = BAR * engines.length + GAP;
  const drawing = new Drawing(NAMES + BARS + NUMBERS, TOP + group * results.cells.length);
  const { cpu, cores, isa } = results.machine;
  drawing.text(12, 24, `Images/s on ${cpu}, ${cores} cores, ${isa}`, { 'font-size': 16, fill: TEXT });
  engines.forEach((engine, i) => {
    drawing.bar({ x: 12 + 150 * i, y: 38, width: 12, height: 12, fill: colourOf(i) });
    drawing.text(30 + 150 * i, 48, engine, { fill: TEXT });
  });
  results.cells.forEach((cell, i) => {
    drawCell(drawing, cell, engines, TOP + group * i);
  });
  return drawing.toString();
}

function drawCell(drawing: Drawing, cell: Cell, engines: readonly string[], y: number): void {
  const fastest = Math.max(...cell.engines.map(({ summary }) => summary.imagesPerSecond));
  const label = `${cell.arch} ${cell.dtype}, batch ${cell.batch}`;
  drawing.text(NAMES - 8, y + BAR - 3, label, { 'text-anchor': 'end', fill: TEXT });
  for (const { engine, summary, ratio } of cell.engines) {
    const row = engines.indexOf(engine);
    const top = y + BAR * row;
    const width = (BARS * summary.imagesPerSecond) / fastest;
    drawing.bar({ x: NAMES, y: top, width, height: BAR - 2, fill: colourOf(row) });
    const compared = ratio === undefined ? '' : ` (ours ${ratio.toFixed(2)}×)`;
    const text = `${summary.imagesPerSecond.toFixed(1)}${compared}`;
    drawing.text(NAMES + width + 6, top + BAR - 4, text, { fill: TEXT });
  }
}

function colourOf(engine: number): string {
  return COLOURS[engine % COLOURS.length] as string;
}
