import { stats } from './api.js';

// Throughput, latency and batch size, a point a second, from what the counters grew by.

const SECONDS = 60;
const SVG = 'http://www.w3.org/2000/svg';

const MEASURES = [
  { name: 'Throughput', unit: 'images/s', of: (d) => d.images / d.seconds },
  { name: 'Latency', unit: 'ms', of: (d) => (d.requests ? d.ns / d.requests / 1e6 : 0) },
  { name: 'Images in a batch', unit: '', of: (d) => (d.batches ? d.images / d.batches : 0) },
];

function makeChart(parent, { name, unit, of }) {
  const figure = document.createElement('figure');
  const caption = document.createElement('figcaption');
  const output = document.createElement('output');
  // Not announced: it changes every second.
  output.setAttribute('aria-live', 'off');
  caption.append(name, output);
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${SECONDS - 1} 100`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  svg.append(path);
  const scale = document.createElement('small');
  figure.append(caption, svg, scale);
  parent.append(figure);
  const values = [];
  return (difference) => {
    values.push(of(difference));
    if (values.length > SECONDS) values.shift();
    const peak = Math.max(...values);
    const top = Math.max(peak, 1e-9);
    const points = values.map((value, i) => `${SECONDS - values.length + i},${98 - (94 * value) / top}`);
    path.setAttribute('d', `M${points.join('L')}`);
    output.textContent = `${values.at(-1).toFixed(1)} ${unit}`.trim();
    scale.textContent = `up to ${peak.toFixed(1)}`;
  };
}

/**
 * Draws the charts of the model that `modelName()` is, from now on. `heard` is told each time what came of asking: nothing,
 * or an error.
 */
export function startCharts(parent, modelName, heard) {
  const charts = MEASURES.map((measure) => makeChart(parent, measure));
  let before;
  const draw = (now) => {
    if (before && now.model === before.model && now.images >= before.images) {
      const difference = Object.fromEntries(
        ['seconds', 'images', 'batches', 'requests', 'ns'].map((key) => [key, now[key] - before[key]]),
      );
      for (const chart of charts) chart(difference);
    }
    before = now;
  };
  const tick = async () => {
    const model = modelName();
    // None is known before the token is.
    if (model) await read(model).then(draw).then(heard, heard);
    setTimeout(tick, 1000);
  };
  tick();
}

async function read(model) {
  const { inference_count, execution_count, inference_stats } = await stats(model);
  const { count, ns } = inference_stats.success;
  const seconds = performance.now() / 1000;
  return { model, seconds, images: inference_count, batches: execution_count, requests: count, ns };
}
