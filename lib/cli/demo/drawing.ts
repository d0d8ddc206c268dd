// Pictures and charts made of characters.

const BARS = ' ▏▎▍▌▋▊▉█';
const SPARKS = '▁▂▃▄▅▆▇█';
// The 24 greys of the 256-colour palette begin here.
const FIRST_GREY = 232;
const GREYS = 24;

/**
 * Lines of half blocks, each two rows of pixels: greys where `colours` says so, else only light and dark.
 * @param pixels RGB, [height, width, 3].
 */
export function drawPixels(pixels: Uint8Array, width: number, height: number, colours: boolean): string[] {
  const brightness = (x: number, y: number) => (pixels[(y * width + x) * 3] ?? 0) / 256;
  const grey = (value: number) => FIRST_GREY + Math.floor(value * GREYS);
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = '';
    for (let x = 0; x < width; x++) {
      const [top, bottom] = [brightness(x, y), brightness(x, y + 1)];
      line += colours
        ? `\x1b[38;5;${grey(top)};48;5;${grey(bottom)}m▀`
        : (' ▄▀█'[(top > 0.5 ? 2 : 0) + (bottom > 0.5 ? 1 : 0)] as string);
    }
    lines.push(colours ? `${line}\x1b[0m` : line);
  }
  return lines;
}

/** `part` of 1 as a bar of up to `width` characters, exact to an eighth of one. */
export function drawBar(part: number, width: number): string {
  const eighths = Math.round(part * width * 8);
  return ('█'.repeat(eighths >> 3) + (BARS[eighths & 7] as string)).trimEnd();
}

/** The course of `values` in `width` characters, each the mean of its share of them. */
export function drawSparkline(values: ArrayLike<number>, width: number): string {
  const size = values.length / width;
  const means = Array.from({ length: width }, (_, i) => {
    const share = Array.prototype.slice.call(values, Math.floor(i * size), Math.floor((i + 1) * size));
    return share.reduce((sum: number, value: number) => sum + value, 0) / share.length;
  });
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const level = (mean: number) => Math.floor(((mean - low) / (high - low || 1)) * (SPARKS.length - 0.001));
  return means.map((mean) => SPARKS[level(mean)]).join('');
}
