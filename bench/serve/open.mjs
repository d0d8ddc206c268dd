import { median, percentile } from '../../dist/bench/statistics.js';
import { Contenders } from './contenders.mjs';

const SHARES = [0.3, 0.7];
const WINDOWS = 5;
const WINDOW_SECONDS = 7;
const CAPACITY_SECONDS = 2;
const COMPUTE_SECONDS = 0.4;

/**
 * Latency at a part of what the server can do. The clock of a machine moves, and a server that computes slower than it was
 * thought to is another part loaded: so there are windows, each with its own rate and its own time of one image, and in
 * each the same arrivals come to the batcher without a server, which says what is due to the server and what to chance.
 */
export async function open(options) {
  const count = Math.ceil(WINDOWS * Math.min(1, options.scale));
  const contenders = await Contenders.start(options);
  try {
    const cells = [];
    for (const share of SHARES) {
      const windows = [];
      for (let seed = 1; seed <= count; seed++) windows.push(await measure(contenders, share, seed, options));
      cells.push(summary(share, windows));
      options.log(textOf(cells.at(-1)));
    }
    return { cells };
  } finally {
    await contenders[Symbol.asyncDispose]();
  }
}

async function measure(contenders, share, seed, { scale }) {
  const capacity = await contenders.capacity(CAPACITY_SECONDS * scale);
  const arrivals = { rate: share * capacity, seconds: WINDOW_SECONDS * scale, seed };
  const compute = () => contenders.bare(1, COMPUTE_SECONDS * scale);
  const before = await compute();
  const inProcess = await contenders.inProcess(arrivals);
  const between = await compute();
  const load = { op: 'open', ...arrivals, maxConnections: 256 };
  const { ms, ...served } = await contenders.load(contenders.own, load);
  const after = await compute();
  const computeMs = median([...before, ...between, ...after]);
  return { ...served, capacity, rate: arrivals.rate, computeMs, ms, inProcess };
}

/** Times are in those of one image in the same window: only so do windows have something in common. */
function summary(share, measured) {
  const p99 = (values) => (values.length > 0 ? percentile(values, 0.99) : 0);
  const timesOf = (key) => measured.map((window) => window[key].map((ms) => ms / window.computeMs));
  const overWindows = (key) => {
    const times = timesOf(key);
    return { median: median(times.map(p99)), pooled: p99(times.flat()) };
  };
  const windows = measured.map(({ ms, inProcess, ...window }) => ({
    ...window,
    inProcessP99: p99(inProcess),
  }));
  return { share, windows, p99Times: overWindows('ms'), inProcessP99Times: overWindows('inProcess') };
}

function textOf({ share, windows, p99Times, inProcessP99Times }) {
  const list = (of) => windows.map((window) => of(window).toFixed(1)).join(' ');
  const times = ({ median, pooled }) => `${median.toFixed(1)}x (all windows together ${pooled.toFixed(1)}x)`;
  return (
    `${100 * share}% of ${list(({ capacity }) => capacity)}/s, one image ${list(({ computeMs }) => computeMs)} ms: ` +
    `p99 ${list(({ p99, computeMs }) => p99 / computeMs)}: median ${times(p99Times)}; in process ` +
    `${list(({ inProcessP99, computeMs }) => inProcessP99 / computeMs)}: ${times(inProcessP99Times)}; ` +
    `sent late p99 ${list(({ sentLateP99Ms }) => sentLateP99Ms)} ms, others ${list(({ otherCores }) => otherCores)} cores`
  );
}
