import { percentile } from '../../dist/bench/statistics.js';
import { poissonArrivals } from './arrivals.mjs';
import { Connection } from './connection.mjs';

// Load on a server: closed-loop (so many clients, each sends as soon as it is answered) and open-loop (requests come when
// they come, whether or not the server keeps up).

/** What became of the requests that ended between `from` and `to`, and how long that took. */
class Tally {
  constructor(from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY) {
    this.from = from;
    this.to = to;
  }

  statuses = {};
  /** Connections that broke while they waited for an answer. */
  resets = 0;
  ms = [];

  async count(sent, started) {
    let status;
    try {
      status = await sent;
    } catch {
      this.resets++;
      return;
    }
    const now = performance.now();
    if (now < this.from || now > this.to) return;
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    if (status === 200) this.ms.push(now - started);
  }

  summary(seconds) {
    const [p50, p99, worst] = [0.5, 0.99, 1].map((share) =>
      this.ms.length ? percentile(this.ms, share) : 0,
    );
    const answered = this.statuses[200] ?? 0;
    return {
      seconds,
      perSecond: answered / seconds,
      statuses: this.statuses,
      resets: this.resets,
      p50,
      p99,
      worst,
    };
  }
}

/**
 * @param options.seconds how long is measured, after a quarter of that, and at most a second, to get going; or
 * @param options.requests how many are sent.
 */
export async function closedLoop({
  port,
  request,
  connections,
  seconds = Number.POSITIVE_INFINITY,
  requests,
}) {
  const warmUp = requests ? 0 : Math.min(1, seconds / 4);
  const began = performance.now() + 1000 * warmUp;
  const end = began + 1000 * seconds;
  let left = requests ?? Number.POSITIVE_INFINITY;
  // What was sent before the start and ends after it counts, as it is left out at the end: else a slow server would be
  // paid for less than it did.
  const tally = new Tally(began, end);
  const clients = Array.from({ length: connections }, async () => {
    let connection = new Connection(port);
    for (let now = performance.now(); now < end && left-- > 0; now = performance.now()) {
      await tally.count(connection.send(request), now);
      if (!connection.isOpen) connection = new Connection(port);
    }
    connection.close();
  });
  await Promise.all(clients);
  return tally.summary((Math.min(performance.now(), end) - began) / 1000);
}

/**
 * Poisson arrivals. Times count from when a request was meant to be sent: had the server, or this process, fallen behind,
 * that would show. Gives all of them, and how late the requests were sent.
 */
export async function openLoop({ port, request, maxConnections, ...arrivals }) {
  const tally = new Tally();
  const sentLate = [];
  const idle = [];
  const late = [];
  let open = 0;
  const underWay = new Set();

  const dispatch = (intended) => {
    let connection = idle.pop();
    while (connection && !connection.isOpen) {
      open--;
      connection = idle.pop();
    }
    if (!connection) {
      if (open >= maxConnections) {
        late.push(intended);
        return;
      }
      connection = new Connection(port);
      open++;
    }
    const done = tally.count(connection.send(request), intended).then(() => {
      underWay.delete(done);
      idle.push(connection);
      if (late.length > 0) dispatch(late.shift());
    });
    underWay.add(done);
  };

  await poissonArrivals(arrivals, (intended) => {
    sentLate.push(performance.now() - intended);
    dispatch(intended);
  });
  while (underWay.size > 0) await Promise.all(underWay);
  for (const connection of idle) connection.close();
  const sentLateP99Ms = percentile(sentLate, 0.99);
  return { ...tally.summary(arrivals.seconds), sentLateP99Ms, ms: tally.ms };
}
