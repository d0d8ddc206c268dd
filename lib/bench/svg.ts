// Drawings as text, the same text for the same numbers.

type Attributes = Readonly<Record<string, string | number>>;

export interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly fill: string;
  /** Shown when the pointer rests on it. */
  readonly title?: string;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** A drawing on a ground of its own, so that it can be read on light and dark pages alike. */
export class Drawing {
  readonly #elements: string[] = [];

  constructor(
    readonly width: number,
    readonly height: number,
  ) {}

  bar({ title, ...attributes }: Bar): this {
    const inner = title === undefined ? '' : `<title>${escaped(title)}</title>`;
    return this.#add(`<rect${written(attributes)}>${inner}</rect>`);
  }

  line(x1: number, y1: number, x2: number, y2: number, stroke: string): this {
    return this.#add(`<line${written({ x1, y1, x2, y2, stroke })}/>`);
  }

  text(x: number, y: number, text: string, attributes: Attributes = {}): this {
    return this.#add(`<text${written({ x, y, ...attributes })}>${escaped(text)}</text>`);
  }

  toString(): string {
    const { width, height } = this;
    const ground = `<rect${written({ width, height, fill: '#ffffff' })}/>`;
    const root = {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      'font-family': 'sans-serif',
      'font-size': 12,
    };
    return `<svg${written(root)}>\n${[ground, ...this.#elements].join('\n')}\n</svg>\n`;
  }

  #add(element: string): this {
    this.#elements.push(element);
    return this;
  }
}

function written(attributes: Readonly<Record<string, string | number>>): string {
  const texts = Object.entries(attributes).map(([name, value]) => {
    return ` ${name}="${typeof value === 'number' ? Number(value.toFixed(2)) : escaped(value)}"`;
  });
  return texts.join('');
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character] as string);
}
