// Text for a terminal.

/** `text` in which control characters, which could drive a terminal, are shown as `�`. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, '\ufffd');
}

/** That so many calibration images were left out. The last one's message may hold a file's name. */
export function unreadText(count: number, last: Error): string {
  const were = count === 1 ? '1 calibration image was' : `${count} calibration images were`;
  return `warning: ${were} left out, which cannot be read; the last: ${printable(last.message)}`;
}

/** `part` of 1 as `12.3%`, always six wide. */
export function percent(part: number): string {
  return `${(100 * part).toFixed(1)}%`.padStart(6);
}

/** The widest of `texts`, in characters, but no more than `most`. */
export function widthOf(texts: Iterable<string>, most = Number.POSITIVE_INFINITY): number {
  let width = 0;
  for (const text of texts) width = Math.max(width, text.length);
  return Math.min(width, most);
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';
const CODES: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Styles text for a terminal; `colours` says whether it does, or gives all text back as it is. */
export interface Styler {
  (style: Style, text: string): string;
  readonly colours: boolean;
}

/** The styler for `stream`: plain where that is no terminal, or NO_COLOR is set to something. */
export function stylesFor(stream: { isTTY?: boolean }): Styler {
  const colours = Boolean(stream.isTTY) && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  const apply = (style: Style, text: string) => (colours ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text);
  return Object.assign(apply, { colours });
}
