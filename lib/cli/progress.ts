import type { WriteStream } from 'node:tty';

const BAR_WIDTH = 24;
// Shorter work needs no bar, and more frames than these nobody sees.
const FIRST_FRAME_MS = 400;
const FRAME_MS = 100;

/** A bar on one line of a terminal; nothing at all where the stream is none. */
export class Progress {
  #start = performance.now();
  #nextFrame = this.#start + FIRST_FRAME_MS;
  #visible = false;

  constructor(
    private readonly unit: string,
    private readonly stream: WriteStream = process.stderr,
  ) {}

  /** @param note goes behind the bar. */
  update(done: number, total: number | undefined, note = ''): void {
    const now = performance.now();
    if (!this.stream.isTTY || now < this.#nextFrame) return;
    this.#nextFrame = now + FRAME_MS;
    this.#visible = true;
    const line = progressLine(done, total, (now - this.#start) / 1000, this.unit) + note;
    this.stream.write(`\r\x1b[K${line.slice(0, this.stream.columns - 1)}`);
  }

  /** Takes the bar away, for other lines or for good; an update shows it again. */
  clear(): void {
    if (this.#visible) this.stream.write('\r\x1b[K');
    this.#visible = false;
  }
}

/** `██████████░░░░░░░░░░░░░░  120/400  33.4 images/s  9 s left`, or `120  33.4 images/s` of nobody knows how many. */
export function progressLine(done: number, total: number | undefined, seconds: number, unit: string): string {
  if (total === undefined) return `${Math.round(done)}  ${(done / seconds).toFixed(1)} ${unit}/s`;
  const filled = Math.floor((BAR_WIDTH * done) / total);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const rate = done / seconds;
  const left = duration((total - done) / rate);
  return `${bar}  ${Math.round(done)}/${Math.round(total)}  ${rate.toFixed(1)} ${unit}/s  ${left} left`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
