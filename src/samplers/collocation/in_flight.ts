/**
 * Collocation with several windows of a sample in flight: each starts from what the one before it has
 * come to so far. Fewer sequential calls for more evaluations. Experimental.
 *
 * @module
 */
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { RowEvaluator } from "../_row_evaluator.ts";
import type { SamplerOptions } from "../sampler.ts";
import { concat, legendreSizes, nodesOf, sweepProducts } from "./node_states.ts";
import { checkFinite, convergenceOf } from "./record.ts";
import type { CollocationStep } from "./record.ts";
import { leastMoveOf } from "./row.ts";
import type { RowSettings } from "./row.ts";
import { CollocationWindow, interpolationError } from "./window.ts";

/** How often in a row a window has to pass its test, after its start has settled, before it is left behind. */
const PASSES = 2;
/** Rounds after which it is left behind anyhow. */
const MOST_ROUNDS = 14;

/** What a run with windows in flight needs to know. */
export interface InFlightSettings extends RowSettings {
  /** Lengths of the windows. */
  readonly lengths: readonly number[];
  /** How many of a sample are in flight at most. */
  readonly windowsInFlight: number;
}

/** A sample: the windows it has in flight, the first of which starts from a state that is settled. */
interface Flight {
  readonly index: number;
  readonly windows: CollocationWindow[];
  /** Windows opened, and left behind. */
  opened: number;
  done: number;
  /** Rounds since the start of the first window settled, and how many of the latest passed its test. */
  rounds: number;
  passes: number;
  sweeps: number;
  evaluations: number;
  largestSize: number;
  estimatedError: number;
  converged: boolean;
  sigma: number;
}

/** A window of a flight, whose states are at the same place in the states of all. */
interface Unit {
  readonly flight: Flight;
  readonly window: CollocationWindow;
}

/** A run over all rows of a batch. */
export class InFlightRun<X> {
  readonly #settings: InFlightSettings;
  readonly #sigmas: readonly number[];
  readonly #states: RowEvaluator<X>;
  readonly #flights: readonly Flight[];
  /** Settled states, of all rows. */
  #x: X;
  /** Denoiser values at each row's last node that was left behind. */
  #denoised!: X;
  /** The windows in flight, their denoiser values and node states; new windows have no nodes yet. */
  #units: Unit[] = [];
  #values?: X;
  #nodes?: X;
  #steps = 0;

  /**
   * @param denoiser The denoiser.
   * @param start The start states.
   * @param sigmas The edges of the windows, all positive.
   * @param settings What all rows share.
   * @param options The signal, the samples.
   */
  constructor(
    denoiser: Denoiser<X>,
    start: X,
    sigmas: readonly number[],
    settings: InFlightSettings,
    options: SamplerOptions,
  ) {
    this.#settings = settings;
    this.#sigmas = sigmas;
    this.#states = new RowEvaluator(denoiser, options);
    this.#x = start;
    this.#flights = Array.from({ length: this.#states.rows.rows(start) }, (_, index) => ({
      index,
      windows: [],
      opened: 0,
      done: 0,
      rounds: 0,
      passes: 0,
      sweeps: 0,
      evaluations: 0,
      largestSize: 0,
      estimatedError: 0,
      converged: true,
      sigma: sigmas[0],
    }));
  }

  /** Runs to the end: a record whenever a row left a window behind. */
  async *steps(toZero: boolean): AsyncGenerator<CollocationStep<X>, void, void> {
    try {
      await this.#begin();
      while (this.#units.length > 0) {
        await this.#round();
        const leaving = this.#leaving();
        this.#open(leaving);
        if (leaving.length === 0) continue;
        await this.#leaveBehind(leaving);
        yield this.#record(this.#x, this.#denoised);
      }
      if (toZero) yield await this.#stepToZero();
    } finally {
      this.#states.releaseAll();
    }
  }

  async #begin(): Promise<void> {
    if (this.#settings.lengths.length === 0) return;
    const all = this.#flights.map(({ index }) => index);
    this.#denoised = await this.#denoise(this.#x, this.#sigmas[0], all);
    for (const flight of this.#flights) {
      flight.evaluations++;
      this.#units.push({ flight, window: this.#nextWindow(flight, 0) });
    }
    const K = this.#settings.rule.count;
    this.#values = this.#states.take(
      this.#denoised,
      this.#units.flatMap((_, r) => new Array<number>(K).fill(r)),
    );
  }

  #denoise(x: X, sigma: number | Float64Array, rows: readonly number[]): Promise<X> {
    const { samples } = this.#states.options;
    return this.#states.denoise(x, sigma, rows.map((row) => samples ? samples[row] : row));
  }

  #nextWindow(flight: Flight, scalar: number): CollocationWindow {
    const { rule, lengths } = this.#settings;
    const level = -Math.log(this.#sigmas[flight.opened]);
    const window = new CollocationWindow(rule, level, lengths[flight.opened++], scalar);
    flight.windows.push(window);
    return window;
  }

  /** Sweeps all windows, each from the end of the one before, and evaluates all their nodes in one call. */
  async #round(): Promise<void> {
    const K = this.#settings.rule.count;
    const units = this.#units;
    const nodesBefore = this.#nodes, valuesBefore = this.#values!;
    const nodes = this.#sweep();
    const values = await this.#denoise(
      nodes,
      concat(units.map(({ window }) => window.nodeSigmas())),
      units.flatMap(({ flight }) => new Array<number>(K).fill(flight.index)),
    );
    const products = await sweepProducts(
      this.#states,
      units.map(({ window }) => window.end().weights),
      { values, nodes },
      { values: valuesBefore, nodes: nodesBefore },
    );
    const { quasiNewton, roundoff } = this.#settings;
    units.forEach(({ flight, window }, u) => {
      checkFinite(products[u].increment, flight.index);
      const leastMove = quasiNewton ? leastMoveOf(roundoff) * this.#scale(flight) : Infinity;
      window.measure(products[u], leastMove);
      flight.largestSize = Math.max(flight.largestSize, window.size);
      flight.evaluations += K;
      flight.sweeps++;
    });
    this.#states.release(nodesBefore, valuesBefore);
    this.#nodes = nodes;
    this.#values = values;
  }

  #scale({ largestSize }: Flight): number {
    return this.#settings.scale ?? (largestSize || Number.MIN_VALUE);
  }

  /** New node states, of the first windows of all rows, then of the second, and so on. */
  #sweep(): X {
    const K = this.#settings.rule.count;
    const parts: X[] = [], order: number[] = [];
    let starts: { x: X; flights: readonly Flight[] } = { x: this.#x, flights: this.#flights };
    for (let position = 0; position < this.#settings.windowsInFlight; position++) {
      const at = this.#units.flatMap(({ flight, window }, u) =>
        flight.windows[position] === window ? [u] : []
      );
      if (at.length === 0) break;
      const windows = at.map((u) => this.#units[u].window);
      const flights = at.map((u) => this.#units[u].flight);
      const x = this.#states.take(
        starts.x,
        flights.map((flight) => starts.flights.indexOf(flight)),
      );
      const values = this.#states.take(this.#values!, nodesOf(at, K));
      const before = this.#nodes && this.#states.take(this.#nodes, nodesOf(at, K));
      const maps = windows.map((window) => window.sweepMap());
      const next = this.#states.mix(at.length, [
        { matrices: concat(maps.map(({ start }) => start)), state: x },
        { matrices: concat(maps.map((map) => map.values)), state: values },
        ...(before ? [{ matrices: concat(maps.map(({ states }) => states)), state: before }] : []),
      ]);
      if (starts.x !== this.#x) this.#states.release(starts.x);
      starts = { x: this.#ends(windows, x, values, next, before), flights };
      this.#states.release(x, values, before);
      parts.push(next);
      order.push(...at);
    }
    if (starts.x !== this.#x) this.#states.release(starts.x);
    const all = this.#states.own(this.#states.rows.concat(parts));
    const places = this.#units.map((_, u) => order.indexOf(u));
    const nodes = this.#states.take(all, nodesOf(places, K));
    this.#states.release(all, ...parts);
    return nodes;
  }

  /** Where windows end, as far as is known: `E x + W (D + C ΔX)`. */
  #ends(
    windows: readonly CollocationWindow[],
    x: X,
    values: X,
    nodes: X,
    nodesBefore: X | undefined,
  ): X {
    const ends = windows.map((window) => window.end());
    const terms = [
      { matrices: Float64Array.from(ends, ({ decay }) => decay), state: x },
      { matrices: concat(ends.map(({ weights }) => weights)), state: values },
    ];
    if (nodesBefore) {
      const moved = windows.map((window, i) =>
        ends[i].weights.map((w, j) => window.sweeps > 0 ? w * window.scalars[j] : 0)
      );
      terms.push({ matrices: concat(moved), state: nodes });
      terms.push({ matrices: concat(moved.map((m) => m.map((v) => -v))), state: nodesBefore });
    }
    return this.#states.mix(windows.length, terms);
  }

  /** Positions of the first windows that have converged since their start settled, or never will. */
  #leaving(): number[] {
    const { tolerance } = this.#settings;
    return this.#units.flatMap(({ flight, window }, u) => {
      if (flight.windows[0] !== window) return [];
      const passed = window.remaining() <= 0.3 * tolerance * this.#scale(flight);
      flight.passes = passed ? flight.passes + 1 : 0;
      flight.rounds++;
      return flight.passes >= PASSES || flight.rounds >= MOST_ROUNDS ? [u] : [];
    });
  }

  /** Leaves these first windows behind: their ends are the settled states now. */
  async #leaveBehind(leaving: readonly number[]): Promise<void> {
    const K = this.#settings.rule.count;
    const values = this.#states.take(this.#values!, nodesOf(leaving, K));
    const sizes = await legendreSizes(this.#states, this.#settings.rule, values, leaving.length);
    const flights = leaving.map((u) => this.#units[u].flight);
    const ends = flights.map(({ windows }) => windows[0].end());
    const starts = this.#states.take(this.#x, flights.map(({ index }) => index));
    const settled = this.#states.mix(leaving.length, [
      { matrices: Float64Array.from(ends, ({ decay }) => decay), state: starts },
      { matrices: concat(ends.map(({ weights }) => weights)), state: values },
    ]);
    const places = this.#flights.map(({ index }) => index);
    flights.forEach(({ index }, i) => places[index] = this.#flights.length + i);
    this.#x = this.#states.replace(this.#x, settled, places);
    const last = this.#states.take(values, leaving.map((_, i) => i * K + K - 1));
    this.#denoised = this.#states.replace(this.#denoised, last, places);
    flights.forEach((flight, i) => this.#judge(flight, sizes[i]));
    this.#states.release(values, starts, settled, last);
    this.#keep(this.#units.flatMap((_, u) => leaving.includes(u) ? [] : [u]));
  }

  /** Takes the first window of a flight off it. */
  #judge(flight: Flight, coefficients: Float64Array): void {
    const { rule, tolerance } = this.#settings;
    const window = flight.windows.shift()!;
    const scale = this.#scale(flight);
    const error = interpolationError(rule, window.length, coefficients).estimate / scale;
    const remaining = window.remaining() / scale;
    flight.estimatedError += error + remaining;
    flight.converged &&= remaining <= 0.3 * tolerance && error <= 2 * tolerance;
    flight.sigma = this.#sigmas[++flight.done];
    flight.rounds = flight.passes = 0;
  }

  /** Opens a window for each row that has room for one, or will have when these have left. */
  #open(leaving: readonly number[]): void {
    const { windowsInFlight, lengths, rule } = this.#settings;
    const K = rule.count;
    const sources: number[] = [], maps: Float64Array[] = [];
    const inFlight = new Map(this.#units.map(({ flight }) => [flight, flight.windows.length]));
    for (const u of leaving) {
      const { flight } = this.#units[u];
      inFlight.set(flight, inFlight.get(flight)! - 1);
    }
    this.#units.slice().forEach(({ flight, window }, u) => {
      const isLast = flight.windows[flight.windows.length - 1] === window;
      const hasRoom = inFlight.get(flight)! < windowsInFlight;
      if (!isLast || !hasRoom || flight.opened === lengths.length) return;
      const next = this.#nextWindow(flight, window.lastScalar);
      this.#units.push({ flight, window: next });
      sources.push(u);
      maps.push(window.valuesBeyond(next));
    });
    if (sources.length === 0) return;
    const from = this.#states.take(this.#values!, nodesOf(sources, K));
    const opened = this.#states.mix(sources.length, [{ matrices: concat(maps), state: from }]);
    const places = nodesOf(this.#units.map((_, u) => u), K);
    this.#values = this.#states.replace(this.#values!, opened, places);
    // Their nodes are not known yet, and no sweep will look at what stands here for them.
    this.#nodes = this.#states.replace(this.#nodes!, from, places);
    this.#states.release(from, opened);
  }

  /** Keeps some of the units. */
  #keep(units: readonly number[]): void {
    const nodes = nodesOf(units, this.#settings.rule.count);
    const old = [this.#values, this.#nodes];
    this.#units = units.map((u) => this.#units[u]);
    [this.#values, this.#nodes] = units.length === 0
      ? [undefined, undefined]
      : old.map((state) => state && this.#states.take(state, nodes));
    this.#states.release(...old);
  }

  async #stepToZero(): Promise<CollocationStep<X>> {
    const all = this.#flights.map(({ index }) => index);
    const denoised = await this.#denoise(
      this.#x,
      Float64Array.from(this.#flights, ({ sigma }) => sigma),
      all,
    );
    for (const flight of this.#flights) {
      flight.evaluations++;
      flight.sigma = 0;
    }
    return this.#record(denoised, denoised);
  }

  #record(x: X, denoised: X): CollocationStep<X> {
    const levels = Float64Array.from(this.#flights, ({ sigma }) => sigma);
    const convergence = convergenceOf(this.#flights.map((flight) => ({
      ...flight,
      windows: flight.done,
      rejected: 0,
      noiseLimited: false,
    })));
    return {
      step: ++this.#steps,
      sigma: Math.max(...levels),
      x,
      denoised,
      evaluations: convergence.evaluations.reduce((a, b) => a + b, 0) / this.#flights.length,
      calls: this.#states.calls,
      levels,
      convergence,
    };
  }
}
