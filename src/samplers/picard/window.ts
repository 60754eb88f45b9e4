/**
 * The sliding window of one sample.
 *
 * @module
 */

/** The window of one sample: the points `begin … begin + count` of the grid, of which the first `count` are evaluated. */
export class PicardWindow {
  begin = 0;
  sweeps = 0;
  evaluations = 1;
  estimatedError = 0;

  constructor(
    readonly index: number,
    readonly sigmas: readonly number[],
    readonly parallel: number,
  ) {}

  get steps(): number {
    return this.sigmas.length - 1;
  }

  get count(): number {
    return Math.min(this.parallel, this.steps - this.begin);
  }

  /** The levels of the points that are evaluated. */
  levels(): readonly number[] {
    return this.sigmas.slice(this.begin, this.begin + this.count);
  }

  /**
   * Row by row, the coefficients of the window's first point and of its `parallel` outputs, that give the
   * points `from … from + parallel` of the grid. Points behind the window are reached with its last output;
   * those behind the grid repeat the last one.
   */
  points(from: number): { first: Float64Array; outputs: Float64Array } {
    const p = this.parallel;
    const first = new Float64Array(p + 1), outputs = new Float64Array((p + 1) * p);
    for (let k = 0; k <= p; k++) {
      const j = Math.min(from + k, this.steps);
      const row = outputs.subarray(k * p, (k + 1) * p);
      const level = this.sigmas[j];
      first[k] = level / this.sigmas[this.begin];
      for (let i = this.begin; i < Math.min(j, this.begin + this.count); i++) {
        const isLast = i === this.begin + this.count - 1;
        // From point i on, x moves towards output i until the next output takes over.
        const upTo = isLast ? level : this.sigmas[i + 1];
        row[i - this.begin] = upTo === 0 ? 1 : level / upTo - level / this.sigmas[i];
      }
    }
    return { first, outputs };
  }

  /** How many points the window moves on: past those that changed little since the sweep before. */
  advance(squares: Float64Array, dimension: number, tolerance: number): number {
    let passed = 1;
    for (; passed < this.count; passed++) {
      const [before, after] = this.sigmas.slice(this.begin + passed - 1);
      const noise = after ** 2 * (before ** 2 - after ** 2) / before ** 2;
      if (!(squares[passed] <= tolerance ** 2 * dimension * noise)) break;
    }
    return passed;
  }
}
