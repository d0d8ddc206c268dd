import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../dist/bench/random.js';

/**
 * Calls `dispatch` as Poisson arrivals of `rate` a second come, with the time from which each counts: that of the arrival,
 * so that a process which falls behind shows, or of the call where a timer fired early.
 */
export async function poissonArrivals({ rate, seconds, seed = 1 }, dispatch) {
  const random = seededRandom(seed);
  const gap = () => (-1000 / rate) * Math.log(1 - random());
  const began = performance.now();
  const end = began + 1000 * seconds;
  for (let due = began; due < end; due += gap()) {
    // A timer of 0 ms would be one of 1 ms: what is due is sent now.
    if (due > performance.now()) await sleep(due - performance.now());
    dispatch(Math.min(due, performance.now()));
  }
}
