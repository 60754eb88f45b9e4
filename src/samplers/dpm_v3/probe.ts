/**
 * Noised data, and how a denoiser responds to them and to what is near them.
 *
 * @module
 */
import type { Dataset } from "../../datasets/dataset.ts";
import type { Denoiser } from "../../denoisers/denoiser.ts";
import { RandomStream } from "../../base/random.ts";
import { OwnedStates } from "../_owned_states.ts";

/** Items, noise and signs, the same at every level. */
export class Draws {
  readonly #items: Float64Array;
  readonly #noise: Float64Array;
  readonly signs: Float64Array;

  constructor(readonly dataset: Dataset, readonly count: number, seed: number) {
    const d = dataset.dimension;
    const room = () => new Float64Array(count * d);
    [this.#items, this.#noise, this.signs] = [room(), room(), room()];
    for (let i = 0; i < count; i++) {
      const stream = new RandomStream({ seed, sample: i, purpose: "theory" });
      this.#items.set(dataset.values(stream.below(dataset.count)), i * d);
      for (let c = 0; c < d; c++) this.#noise[i * d + c] = stream.normal();
      for (let c = 0; c < d; c++) this.signs[i * d + c] = stream.uint32() & 1 ? 1 : -1;
    }
  }

  /** The noised items from `first` on. */
  noised(sigma: number, first: number, rows: number): Float64Array {
    const d = this.dataset.dimension;
    return Float64Array.from(
      { length: rows * d },
      (_, k) => this.#items[first * d + k] + sigma * this.#noise[first * d + k],
    );
  }
}

/** What the estimates need of a batch of noised items, row by row. */
export interface Responses {
  readonly x: Float64Array;
  /** `D(x, σ)`. */
  readonly denoised: Float64Array;
  /** `v ∘ (∂D/∂x) v`. */
  readonly jacobian: Float64Array;
  /** The derivative of the output along the flow, by `ℓ = −ln σ`. */
  readonly rate: Float64Array;
}

/** What sums in a denoiser may add to the rounding of its outputs: a few of their last places. */
const ROUNDINGS = 4;

/** Asks a denoiser for what the tables are made of. */
export class Probe<X> {
  /** Lengths of the differences, in σ and in ℓ: a compromise of their error and that of the denoiser's rounding. */
  readonly #step: number;
  readonly dimension: number;
  /** The rounding error of a rate, relative to the output: that of two outputs, `√2 ε/2h`. */
  readonly rateRounding: number;

  constructor(
    readonly denoiser: Denoiser<X>,
    readonly draws: Draws,
    readonly batchSize: number,
    readonly signal?: AbortSignal,
  ) {
    const float32 = denoiser.space.numbers(0) instanceof Float32Array;
    this.#step = float32 ? 0.05 : 1e-3;
    this.rateRounding = ROUNDINGS * (float32 ? 2 ** -24 : 2 ** -53) / (Math.SQRT2 * this.#step);
    this.dimension = draws.dataset.dimension;
  }

  /** The outputs for the first few noised items. */
  async outputs(sigma: number): Promise<{ x: Float64Array; denoised: Float64Array }> {
    const rows = Math.min(this.draws.count, 4);
    const x = this.draws.noised(sigma, 0, rows);
    return { x, denoised: await this.#denoise(x, new Array(rows).fill(sigma)) };
  }

  /** All responses at a level, batch by batch. */
  async *responses(sigma: number): AsyncGenerator<Responses> {
    for (let first = 0; first < this.draws.count; first += this.batchSize) {
      const rows = Math.min(this.batchSize, this.draws.count - first);
      yield await this.#respond(sigma, first, rows);
    }
  }

  async #respond(sigma: number, first: number, rows: number): Promise<Responses> {
    const x = this.draws.noised(sigma, first, rows);
    const signs = this.draws.signs.subarray(
      first * this.dimension,
      (first + rows) * this.dimension,
    );
    const levels = (level: number) => new Array<number>(rows).fill(level);
    const step = this.#step, away = step * sigma;
    const moved = (by: number, direction: Float64Array) => x.map((v, k) => v + by * direction[k]);
    const denoised = await this.#denoise(x, levels(sigma));
    const drift = denoised.map((v, k) => v - x[k]);
    const [up, down, later, earlier] = parts(
      await this.#denoise(
        joined([moved(away, signs), moved(-away, signs), moved(step, drift), moved(-step, drift)]),
        [
          ...levels(sigma),
          ...levels(sigma),
          ...levels(sigma * Math.exp(-step)),
          ...levels(sigma * Math.exp(step)),
        ],
      ),
      4,
    );
    return {
      x,
      denoised,
      jacobian: up.map((v, k) => signs[k] * (v - down[k]) / (2 * away)),
      rate: later.map((v, k) => (v - earlier[k]) / (2 * step)),
    };
  }

  async #denoise(x: Float64Array, sigmas: readonly number[]): Promise<Float64Array> {
    const { space, shape } = this.denoiser;
    const states = new OwnedStates(space);
    try {
      this.signal?.throwIfAborted();
      const state = states.own(space.from(x, [sigmas.length, ...shape]));
      const output = states.own(
        (await this.denoiser.denoise(state, Float64Array.from(sigmas), { signal: this.signal }))
          .mean,
      );
      this.signal?.throwIfAborted();
      return Float64Array.from(await space.values(output));
    } finally {
      states.releaseAll();
    }
  }
}

function joined(rows: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}

function parts(all: Float64Array, count: number): Float64Array[] {
  const size = all.length / count;
  return Array.from({ length: count }, (_, k) => all.subarray(k * size, (k + 1) * size));
}
