import type { WriteStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { drawBar, drawPixels, drawSparkline } from '../../lib/cli/demo/drawing.js';
import { Progress, progressLine } from '../../lib/cli/progress.js';
import { percent, printable, stylesFor, widthOf } from '../../lib/cli/text.js';

describe('text', () => {
  test('control characters are made visible, others kept', () => {
    expect(printable('a\x1b[31m\n\x9bb é 猫')).toBe('a\ufffd[31m\ufffd\ufffdb é 猫');
  });

  test('percentages are six wide', () => {
    expect([0, 0.12345, 1].map(percent)).toEqual(['  0.0%', ' 12.3%', '100.0%']);
  });

  test('widths', () => {
    expect(widthOf(['a', 'abc', ''])).toBe(3);
    expect(widthOf(['abcdef'], 4)).toBe(4);
    expect(widthOf([])).toBe(0);
  });
});

describe('styles', () => {
  afterEach(() => vi.unstubAllEnvs());
  const terminal = { isTTY: true };

  beforeEach(() => {
    vi.stubEnv('NO_COLOR', '');
    vi.stubEnv('TERM', 'xterm');
  });

  test('are for terminals', () => {
    expect(stylesFor(terminal)('red', 'x')).toBe('\x1b[31mx\x1b[0m');
    expect(stylesFor({})('red', 'x')).toBe('x');
  });

  test.each([
    ['NO_COLOR', '1'],
    ['TERM', 'dumb'],
  ])('not with %s=%s', (name, value) => {
    vi.stubEnv(name, value);
    expect(stylesFor(terminal)('red', 'x')).toBe('x');
    expect(stylesFor(terminal).colours).toBe(false);
  });
});

describe('progress', () => {
  afterEach(() => vi.useRealTimers());

  function fakeTerminal(isTTY: boolean) {
    const written: string[] = [];
    const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) };
    return { written, stream: stream as unknown as WriteStream };
  }

  test('a line tells share, rate and what is left', () => {
    expect(progressLine(120, 400, 4, 'images')).toBe(
      '███████░░░░░░░░░░░░░░░░░  120/400  30.0 images/s  10 s left',
    );
    expect(progressLine(1, 7201, 1, 'images')).toContain('2 h 0 min left');
    expect(progressLine(1, 126, 1, 'images')).toContain('2 min 5 s left');
  });

  test('appears on a terminal after a while, at most ten times a second, fits its width, and goes away', () => {
    vi.useFakeTimers();
    const { written, stream } = fakeTerminal(true);
    const progress = new Progress('images', stream);
    progress.update(1, 100);
    progress.clear();
    expect(written).toEqual([]);
    vi.advanceTimersByTime(500);
    for (let i = 2; i < 10; i++) progress.update(i, 100);
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/2\/100/);
    expect(written[0]?.replace('\r\x1b[K', '').length).toBeLessThan(60);
    progress.clear();
    progress.clear();
    expect(written.slice(1)).toEqual(['\r\x1b[K']);
  });

  test('is nothing elsewhere', () => {
    vi.useFakeTimers();
    const { written, stream } = fakeTerminal(false);
    const progress = new Progress('images', stream);
    vi.advanceTimersByTime(5000);
    progress.update(50, 100);
    progress.clear();
    expect(written).toEqual([]);
  });
});

describe('drawing', () => {
  const grey = (...values: number[]) => Uint8Array.from(values.flatMap((value) => [value, value, value]));

  test('two rows of pixels make a line of half blocks', () => {
    const pixels = grey(0, 255, 0, 255, 0, 0, 255, 255);
    expect(drawPixels(pixels, 4, 2, false)).toEqual([' ▀▄█']);
  });

  test('in colours, greys', () => {
    expect(drawPixels(grey(0, 255), 1, 2, true)).toEqual(['\x1b[38;5;232;48;5;255m▀\x1b[0m']);
  });

  test('bars are exact to an eighth', () => {
    expect([0, 1 / 32, 0.5, 1].map((part) => drawBar(part, 4))).toEqual(['', '▏', '██', '████']);
  });

  test('sparklines go from the lowest to the highest mean', () => {
    expect(drawSparkline([0, 0, 7, 7, 3, 4], 3)).toBe('▁█▄');
    expect(drawSparkline([5, 5, 5], 3)).toBe('▁▁▁');
  });
});
