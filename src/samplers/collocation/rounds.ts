/**
 * The rounds of a collocation run: one denoiser call for all nodes of all samples, then every sample
 * goes on by itself.
 *
 * @module
 */
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { RowEvaluator } from "../_row_evaluator.ts";
import type { SamplerOptions } from "../sampler.ts";
import { concat, legendreSizes, nodesOf, sweepProducts } from "./node_states.ts";
import { convergenceOf } from "./record.ts";
import type { CollocationStep } from "./record.ts";
import { CollocationRow } from "./row.ts";
import type { RowSettings } from "./row.ts";

/** The states of the rows that are not finished, row after row and within a row node after node. */
interface Active<X> {
  readonly rows: readonly CollocationRow[];
  /** Where their windows start, `rows`. */
  readonly x: X;
  /** Denoiser values at the nodes, `rows × K`. */
  readonly values: X;
  /** States of the nodes, likewise; none before the first sweep. */
  readonly nodes?: X;
  /** What they were a sweep ago. */
  readonly nodesBefore?: X;
}

/** A run over all rows of a batch. */
export class CollocationRun<X> {
  readonly #settings: RowSettings;
  readonly #states: RowEvaluator<X>;
  readonly #start: X;
  readonly #rows: readonly CollocationRow[];
  readonly #nodesPerRow: number;
  #active?: Active<X>;
  /** The end states of finished rows, by their index. */
  readonly #finished = new Map<number, X>();
  /** Denoiser values at each row's last closed node. */
  #denoised?: X;
  #steps = 0;

  constructor(
    denoiser: Denoiser<X>,
    start: X,
    [sigma, sigmaEnd]: readonly [number, number],
    settings: RowSettings,
    options: SamplerOptions,
  ) {
    this.#settings = settings;
    this.#states = new RowEvaluator(denoiser, options);
    this.#start = start;
    this.#nodesPerRow = settings.rule.count;
    this.#rows = Array.from(
      { length: this.#states.rows.rows(start) },
      (_, index) => new CollocationRow(index, sigma, sigmaEnd, settings),
    );
  }

  /**
   * Runs to the end: a record whenever a row closed a window.
   *
   * @param toZero Whether to go on to noise level 0, where the denoised estimate is the state.
   */
  async *steps(toZero: boolean): AsyncGenerator<CollocationStep<X>, void, void> {
    try {
      await this.#open();
      while (this.#active) {
        if (!await this.#round()) continue;
        const x = this.#allStates();
        yield this.#record(x, this.#denoised!);
        this.#states.release(x);
      }
      if (toZero) yield await this.#stepToZero();
    } finally {
      this.#states.releaseAll();
    }
  }

  /** Opens the first windows: the value at the start, one evaluation, stands at all nodes. */
  async #open(): Promise<void> {
    if (this.#rows.every(({ finished }) => finished)) return;
    this.#denoised = await this.#denoise(this.#start, this.#rows[0].sigma, this.#rows, 1);
    for (const row of this.#rows) row.evaluations++;
    const K = this.#nodesPerRow;
    const copies = Array.from({ length: this.#rows.length * K }, (_, i) => Math.floor(i / K));
    const values = this.#states.take(this.#denoised, copies);
    this.#active = this.#sweep({ rows: this.#rows, x: this.#start, values });
  }

  /** One call for states of these rows, `copies` of each. */
  #denoise(
    x: X,
    sigma: number | Float64Array,
    rows: readonly CollocationRow[],
    copies: number,
  ): Promise<X> {
    const { samples } = this.#states.options;
    const indices = rows.flatMap(({ index }) =>
      new Array<number>(copies).fill(samples ? samples[index] : index)
    );
    return this.#states.denoise(x, sigma, indices);
  }

  /** New states of all nodes. */
  #sweep(active: Active<X>): Active<X> {
    const { rows, x, values, nodes, nodesBefore } = active;
    const maps = rows.map((row) => row.sweepMap());
    const terms = [
      { matrices: concat(maps.map(({ start }) => start)), state: x },
      { matrices: concat(maps.map(({ values }) => values)), state: values },
    ];
    if (nodes) terms.push({ matrices: concat(maps.map(({ states }) => states)), state: nodes });
    const next = this.#states.mix(rows.length, terms);
    this.#states.release(nodesBefore);
    return { rows, x, values, nodes: next, nodesBefore: nodes };
  }

  /** Evaluates all nodes, and lets every row go on; whether one of them closed a window. */
  async #round(): Promise<boolean> {
    const { rows, nodes, ...before } = this.#active!;
    const sigmas = concat(rows.map((row) => row.nodeSigmas()));
    const values = await this.#denoise(nodes!, sigmas, rows, this.#nodesPerRow);
    const done = await this.#measure(this.#active!, values);
    this.#states.release(before.values);
    let active: Active<X> | undefined = { rows, nodes, ...before, values };
    if (done.length > 0) active = this.#retire(await this.#close(active, done));
    this.#active = active && this.#sweep(active);
    return done.length > 0;
  }

  /** Hands every row what changed; the positions of those whose window is done with. */
  async #measure(
    { rows, values: valuesBefore, nodes, nodesBefore }: Active<X>,
    values: X,
  ): Promise<number[]> {
    const products = await sweepProducts(
      this.#states,
      rows.map((row) => row.end().weights),
      { values, nodes: nodes! },
      { values: valuesBefore, nodes: nodesBefore },
    );
    return rows.flatMap((row, r) => row.measure(products[r]) ? [r] : []);
  }

  /** Closes the windows of the rows at these positions, and opens their next ones. */
  async #close(active: Active<X>, done: readonly number[]): Promise<Active<X>> {
    const K = this.#nodesPerRow;
    const { rows, x, values } = active;
    const closing = this.#states.take(values, nodesOf(done, K));
    const sizes = await legendreSizes(this.#states, this.#settings.rule, closing, done.length);
    this.#states.release(closing);
    const closings = new Map(done.map((r, i) => {
      // Closing opens the next window, which has another end.
      const end = rows[r].end();
      return [r, { ...rows[r].close(sizes[i]), end }];
    }));
    this.#keepDenoised(rows, values, done.filter((r) => closings.get(r)!.accepted));

    const ends = rows.map((_, r) => {
      const closing = closings.get(r);
      return closing?.accepted ? closing.end : { decay: 1, weights: new Float64Array(K) };
    });
    const next = this.#states.mix(rows.length, [
      { matrices: Float64Array.from(ends, ({ decay }) => decay), state: x },
      { matrices: concat(ends.map(({ weights }) => weights)), state: values },
    ]);
    const unchanged = Float64Array.from({ length: K * K }, (_, i) => Number(i % (K + 1) === 0));
    const maps = concat(rows.map((_, r) => closings.get(r)?.values ?? unchanged));
    const opened = this.#states.mix(rows.length, [{ matrices: maps, state: values }]);
    this.#states.release(x, values);
    return { ...active, x: next, values: opened };
  }

  /** Keeps the values at the last node of the windows that were taken. */
  #keepDenoised(rows: readonly CollocationRow[], values: X, positions: readonly number[]): void {
    const K = this.#nodesPerRow;
    const sources = this.#rows.map((_, index) => index);
    for (const r of positions) sources[rows[r].index] = this.#rows.length + r * K + K - 1;
    this.#denoised = this.#states.replace(this.#denoised!, values, sources);
  }

  /** Sets finished rows aside; what is left, if anything is. */
  #retire(active: Active<X>): Active<X> | undefined {
    const { rows, x, values, nodes, nodesBefore } = active;
    if (!rows.some(({ finished }) => finished)) return active;
    const left: number[] = [];
    rows.forEach(({ finished, index }, r) => {
      if (finished) this.#finished.set(index, this.#states.take(x, [r]));
      else left.push(r);
    });
    const all = [x, values, nodes, nodesBefore] as const;
    const leftNodes = nodesOf(left, this.#nodesPerRow);
    const kept = left.length === 0
      ? []
      : all.map((state, i) => state && this.#states.take(state, i === 0 ? left : leftNodes));
    this.#states.release(...all);
    if (left.length === 0) return undefined;
    return {
      rows: left.map((r) => rows[r]),
      x: kept[0]!,
      values: kept[1]!,
      nodes: kept[2],
      nodesBefore: kept[3],
    };
  }

  /** The states of all rows, in the order of the batch. */
  #allStates(): X {
    const parts: X[] = [], places = new Map<number, number>();
    for (const { index } of this.#active?.rows ?? []) places.set(index, places.size);
    if (this.#active) parts.push(this.#active.x);
    for (const [index, x] of this.#finished) {
      places.set(index, places.size);
      parts.push(x);
    }
    const all = this.#states.own(this.#states.rows.concat(parts));
    const x = this.#states.take(all, this.#rows.map(({ index }) => places.get(index)!));
    this.#states.release(all);
    return x;
  }

  async #stepToZero(): Promise<CollocationStep<X>> {
    const x = this.#finished.size > 0 ? this.#allStates() : this.#start;
    const sigmas = Float64Array.from(this.#rows, ({ sigma }) => sigma);
    const denoised = await this.#denoise(x, sigmas, this.#rows, 1);
    this.#states.release(x);
    for (const row of this.#rows) {
      row.evaluations++;
      row.sigma = 0;
    }
    return this.#record(denoised, denoised);
  }

  #record(x: X, denoised: X): CollocationStep<X> {
    const convergence = convergenceOf(this.#rows);
    const levels = Float64Array.from(this.#rows, ({ sigma }) => sigma);
    return {
      step: ++this.#steps,
      sigma: Math.max(...levels),
      x,
      denoised,
      evaluations: convergence.evaluations.reduce((a, b) => a + b, 0) / this.#rows.length,
      calls: this.#states.calls,
      levels,
      convergence,
    };
  }
}
