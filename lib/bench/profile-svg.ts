import { type Cell, keyOf, type LayerTime, type Peak } from './results.js';
import { rooflineMs } from './roofline.js';
import { Drawing } from './svg.js';

const ROW = 18;
const TOP = 64;
const NAMES = 190;
const BARS = 520;
const NUMBERS = 190;
const COLOURS = { time: '#9ecae1', roofline: '#08519c', text: '#222222' };

/**
 * The time of each layer of a profiled cell as a bar, with the least time that the machine's roofline allows it as a
 * dark bar inside.
 */
export function profileSvg(cell: Cell, peak: Peak): string {
  const layers = cell.layers ?? [];
  const least = layers.map((layer) => rooflineMs(layer, cell.dtype, peak) || 0);
  const longest = Math.max(...layers.map(({ ms }) => ms), ...least);
  const total = layers.reduce((sum, { ms }) => sum + ms, 0);
  const drawing = new Drawing(NAMES + BARS + NUMBERS, TOP + ROW * layers.length + 12);
  drawing.text(12, 22, `${keyOf(cell)}: ${total.toFixed(2)} ms`, { 'font-size': 16, fill: COLOURS.text });
  drawing.bar({ x: 12, y: 34, width: 12, height: 12, fill: COLOURS.time });
  drawing.text(30, 44, 'measured', { fill: COLOURS.text });
  drawing.bar({ x: 102, y: 34, width: 12, height: 12, fill: COLOURS.roofline });
  const roof = `${peak.gflops[cell.dtype]?.toFixed(0) ?? 'unknown'} GFLOP/s and ${peak.bandwidth.toFixed(1)} GB/s`;
  drawing.text(120, 44, `least at the machine's measured ${roof}`, { fill: COLOURS.text });
  layers.forEach((layer, row) => {
    drawLayer(drawing, layer, TOP + ROW * row, BARS / longest, least[row] as number);
  });
  return drawing.toString();
}

function drawLayer(drawing: Drawing, layer: LayerTime, y: number, scale: number, leastMs: number): void {
  const { name, kernel, ms, macs } = layer;
  const rate = macs ? `, ${((2 * macs) / ms / 1e6).toFixed(1)} GFLOP/s` : '';
  const baseline = y + ROW - 6;
  drawing.text(NAMES - 8, baseline, name, { 'text-anchor': 'end', fill: COLOURS.text });
  drawing.bar({
    x: NAMES,
    y: y + 2,
    width: ms * scale,
    height: ROW - 4,
    fill: COLOURS.time,
    title: `${name}: ${kernel}`,
  });
  if (leastMs > 0) {
    drawing.bar({ x: NAMES, y: y + 6, width: leastMs * scale, height: ROW - 12, fill: COLOURS.roofline });
  }
  const end = NAMES + Math.max(ms, leastMs) * scale;
  drawing.text(end + 6, baseline, `${ms.toFixed(3)} ms${rate}`, { fill: COLOURS.text });
}
