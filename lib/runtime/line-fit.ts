// Fewer points make no line.
const MIN_WEIGHT = 3;
// Nor do points that lie closer together, as a share of where they are.
const MIN_SPREAD = 0.1;

export interface Line {
  /** At x = 0. */
  readonly intercept: number;
  readonly slope: number;
}

/** A line through points that come one after the other, by least squares; older points count ever less. */
export class LineFit {
  // Sums over the points, each as much as it counts.
  #weight = 0;
  #x = 0;
  #y = 0;
  #xx = 0;
  #xy = 0;

  /** @param decay what a point counts, of what the next one does. */
  constructor(private readonly decay: number) {}

  add(x: number, y: number): void {
    this.#weight = this.decay * this.#weight + 1;
    this.#x = this.decay * this.#x + x;
    this.#y = this.decay * this.#y + y;
    this.#xx = this.decay * this.#xx + x * x;
    this.#xy = this.decay * this.#xy + x * y;
  }

  /** Undefined where the points do not say. */
  line(): Line | undefined {
    if (this.#weight < MIN_WEIGHT) return undefined;
    const [x, y] = [this.#x / this.#weight, this.#y / this.#weight];
    const variance = this.#xx / this.#weight - x * x;
    if (variance < (MIN_SPREAD * x) ** 2) return undefined;
    const slope = (this.#xy / this.#weight - x * y) / variance;
    return { intercept: y - slope * x, slope };
  }

  /** On the line; where there is none yet, the mean, if that is what the points say of this x. */
  at(x: number): number | undefined {
    const line = this.line();
    if (line) return line.intercept + line.slope * x;
    const mean = this.#x / this.#weight;
    return Math.abs(x - mean) <= MIN_SPREAD * mean ? this.#y / this.#weight : undefined;
  }
}
