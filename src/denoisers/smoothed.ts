/**
 * Smoothed closed-form diffusion: a denoiser averaged over perturbed queries.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkKind } from "../base/_kinds.ts";
import { DRAWS } from "../base/_defaults.ts";
import { checkRoom } from "../base/_memory.ts";
import { sizeOf } from "../base/_shape.ts";
import { inTurns } from "../base/_turns.ts";
import type { Interruptible } from "../base/_turns.ts";
import { batchOf } from "../compute/batch.ts";
import type { State } from "../compute/batch.ts";
import type { DeviceChoice } from "../compute/use_device.ts";
import { checkEvaluateOptions, samplePerRow, sigmaPerRow } from "../compute/posterior.ts";
import type { EvaluateOptions } from "../compute/posterior.ts";
import type { Subset } from "../compute/subset.ts";
import type { Tilts } from "../compute/tilted.ts";
import type { StateSpace } from "../states/linear_space.ts";
import { levelKey, RandomStream } from "../base/random.ts";
import { baseOf } from "./base_denoiser.ts";
import type { StatesOf } from "./base_denoiser.ts";
import { capabilitiesOf, keepCapabilities, subsetOf } from "./_capabilities.ts";
import { DATA_OPTIONS } from "./data_source.ts";
import type { DataOptions, DataSource } from "./data_source.ts";
import type { Denoiser } from "./denoiser.ts";
import type { StoredDenoiser } from "./optimal.ts";
import { smoothingDefaults } from "./smoothing_defaults.ts";

/** Items between two places where the work may be interrupted. */
const SOME = 1024;
const ACTION = "smooth the denoiser";
const GUMBEL_ACTION = `${ACTION} by gumbel draws`;

/**
 * How the draws of a trajectory are made.
 *
 * - `fixed`: own vectors for each sample, the same at every step;
 * - `fresh`: new ones at every noise level;
 * - `antithetic`: like `fixed`, in pairs `(ε, −ε)`;
 * - `gumbel`: like `fixed`, but a Gumbel number for each item instead of a vector.
 */
export type DrawKind = "fixed" | "fresh" | "antithetic" | "gumbel";

/** Options of {@linkcode smoothed}. */
export interface SmoothedOptions<D extends DeviceChoice = DeviceChoice> extends DataOptions<D> {
  /**
   * The bandwidth `β ≥ 0` in data units, at `t = 1`; for `gumbel`, the variance `s` in squared data units. Default: that of
   * {@linkcode smoothingDefaults}, for `gumbel` a quarter of the square of its spacing; then samples also take its number of steps
   * on the grid `uniform-t` where none is given.
   */
  readonly bandwidth?: number;
  /** The number of draws, `M`. Default 4. With 1, samples are items of the data. */
  readonly draws?: number;
  /** How they are made. Default `"fixed"`. */
  readonly drawKind?: DrawKind;
  /** The seed of the draws. Default 0. */
  readonly seed?: number;
  /** Cancels the choice of a bandwidth. */
  readonly signal?: AbortSignal;
}

const REFERENCES = [
  "C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), Closed-form diffusion models, arXiv:2310.12395",
];

const OPTIONS = {
  ...DATA_OPTIONS,
  bandwidth: undefined,
  draws: DRAWS,
  drawKind: "fixed",
  seed: 0,
  signal: undefined,
} satisfies OptionTable<SmoothedOptions>;

/** How queries are perturbed. */
export interface Smoothing {
  /** The bandwidth, or the variance of Gumbel draws. */
  readonly bandwidth: number;
  /** The number of draws. */
  readonly draws: number;
  /** How they are made. */
  readonly drawKind: DrawKind;
  /** Their seed. */
  readonly seed: number;
}

/**
 * A denoiser averaged over perturbed queries: with the optimal denoiser inside, samples end on
 * barycenters of items instead of on items.
 *
 * ```text
 * D_β(x, σ) = (1/M) Σ_m D(x + β(1+σ) ε_m, σ),   ε_m ~ N(0, I)
 * ```
 *
 * In flow coordinates `z = tx` the query is moved by `βε_m` at every time. The state itself is not
 * perturbed, so samples stay in the convex hull of the data. `gumbel` tilts the logit of item `i` by
 * `s(1+σ)g_{m,i}/σ²` instead, with standard Gumbel numbers; its samples end at modes of a kernel
 * density of variance `s` as `M` grows.
 *
 * A sample's draws depend on the seed and on its index in the run alone. Equal to the denoiser inside
 * for `β = 0`.
 *
 * `fixed` and `antithetic` draws of an optimal denoiser, in float64 or on the CPU device, cost one distance per item
 * instead of `M`: moving the query adds `β(1+σ)⟨ε_m, xᵢ⟩/σ²` to the logits, and these products are kept from step
 * to step, up to half a gigabyte of them. Otherwise (other denoisers, WebGPU, `fresh`, one draw, or batches whose
 * products would take more) all `M` queries of all rows go to the denoiser in one call.
 *
 * Reference: C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), Closed-form diffusion models, arXiv:2310.12395.
 *
 * @param source A data set, whose optimal denoiser is smoothed, or a denoiser; for `gumbel` one that can be restricted to a subset,
 * since that can weigh items. It is not disposed with this.
 * @param options Bandwidth, number and kind of draws, seed; class and device of a data set.
 * @returns The smoothed denoiser, on the same states.
 * @throws {RangeError} If the bandwidth is negative, `draws` is not a whole number >= 1, or odd for antithetic draws; if none is
 * given and all items are the same.
 * @throws {TypeError} If the draws are `gumbel` and the denoiser cannot be restricted to a subset, no bandwidth is given and it holds
 * no data, or there is no such option.
 *
 * @example Between two points, two draws may pick one each: a new point in the middle
 * ```ts
 * import { Dataset, sample, smoothed, uniformTGrid } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const dataset = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
 * const denoiser = await smoothed(dataset, { bandwidth: 50, draws: 2, device: "float64" });
 * const { x } = await sample(denoiser, { count: 64, grid: uniformTGrid(50), output: "tensor" });
 * assert.ok(x.every((v) => [-1, 0, 1].some((end) => Math.abs(v - end) < 1e-6)));
 * assert.ok(x.some((v) => Math.abs(v) < 1e-6));
 * ```
 */
export async function smoothed<S extends DataSource, D extends DeviceChoice = "auto">(
  source: S,
  options: SmoothedOptions<D> = {},
): Promise<StoredDenoiser<StatesOf<S, D>>> {
  const settings = readOptions(ACTION, options, OPTIONS);
  using resources = new DisposableStack();
  const base = await baseOf(ACTION, source, settings, resources);
  const found = settings.bandwidth === undefined ? await measured(base, settings) : undefined;
  const denoiser = smoothedBy(base, {
    ...settings,
    bandwidth: settings.bandwidth ?? found!.bandwidth,
  });
  const held = resources.move();
  const { data } = capabilitiesOf(base);
  const made: StoredDenoiser<State> = {
    ...denoiser,
    ...(found && { grid: { name: "uniform-t", steps: found.steps } as const }),
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
  keepCapabilities(made, { ...(data && { data }) });
  return made as StoredDenoiser<State> as StoredDenoiser<StatesOf<S, D>>;
}

/** The bandwidth and the steps that the data call for. */
async function measured(
  base: Denoiser<State>,
  { drawKind, signal }: Pick<SmoothedOptions, "drawKind" | "signal">,
): Promise<{ bandwidth: number; steps: number }> {
  const { bandwidth, spacing, steps } = await smoothingDefaults(base, { signal });
  return { bandwidth: drawKind === "gumbel" ? spacing ** 2 / 4 : bandwidth, steps };
}

/**
 * A denoiser averaged over perturbed queries.
 *
 * @param base The denoiser.
 * @param smoothing How queries are perturbed.
 * @returns The smoothed denoiser, on the same states.
 */
export function smoothedBy<X>(
  base: Denoiser<X>,
  { bandwidth, draws: M, drawKind, seed }: Smoothing,
): Denoiser<X> {
  checkKind(ACTION, "base", base, "denoiser");
  checkOptions(bandwidth, M, drawKind);
  const { space, shape } = base;
  const dimension = sizeOf(shape);
  const denoise = drawKind === "gumbel"
    ? gumbel(base, bandwidth, M, seed)
    : gaussian(base, dimension, { bandwidth, M, drawKind, seed });
  // A query and its mean; of gumbel draws, a weight for each item too.
  const weighed = drawKind === "gumbel" ? subsetOf(base, GUMBEL_ACTION).count : 0;
  const bytesPerDraw = 8 * (2 * dimension + weighed);
  const keeps = M > 1 && (drawKind === "fixed" || drawKind === "antithetic");
  const tilts: Tilts = {
    count: M,
    of: (sample) => vectors(dimension, { M, drawKind, seed }, sample),
  };
  return {
    label: `${base.label}, smoothed with bandwidth ${bandwidth}, ${M} ${drawKind} draws`,
    references: [...base.references, ...REFERENCES],
    shape,
    space,
    ...(base.mean && { mean: base.mean }),
    ...(base.draw && { draw: base.draw }),
    ...(base.rms && { rms: base.rms }),
    ...((base.drawsPerLevel || drawKind === "fresh") && { drawsPerLevel: true }),
    async denoise(x, sigma, evaluate = {}) {
      checkEvaluateOptions(ACTION, evaluate);
      const batch = batchOf(x as State, dimension, ACTION), { rows } = batch;
      const values = await batch.values();
      const sigmas = sigmaPerRow(sigma, rows, ACTION);
      const samples = samplePerRow(evaluate, rows, ACTION);
      checkRoom(ACTION, `${M} draws for each of ${rows} queries`, rows * M * bytesPerDraw);
      const { tilted } = capabilitiesOf(base);
      if (keeps && tilted && rows <= tilted.capacity(M)) {
        const strengths = sigmas.map((level) => bandwidth * (1 + level));
        return {
          mean: await tilted.mean(x, sigmas, { ...evaluate, samples, tilts, strengths }),
        };
      }
      const estimates = await denoise(values, sigmas, samples, evaluate);
      return { mean: batch.like(averages(estimates, M, dimension)) as X };
    },
  };
}

/** How queries are perturbed, by the names of the formula. */
interface Perturbation {
  readonly bandwidth: number;
  readonly M: number;
  readonly drawKind: DrawKind;
  readonly seed: number;
}

/** `M` denoised estimates per row, rows one after the other. */
type Estimates = (
  values: ArrayLike<number>,
  sigmas: Float64Array,
  samples: ArrayLike<number>,
  evaluate: EvaluateOptions,
) => Promise<Float32Array | Float64Array>;

function gaussian<X>(
  base: Denoiser<X>,
  dimension: number,
  { bandwidth, M, drawKind, seed }: Perturbation,
): Estimates {
  const { space, shape } = base;
  return async (values, sigmas, samples, evaluate) => {
    const rows = sigmas.length;
    const queries = space.numbers(rows * M * dimension);
    for (let row = 0, at = 0; row < rows; row++) {
      const scale = bandwidth * (1 + sigmas[row]);
      const step = drawKind === "fresh" ? levelKey(sigmas[row]) : 0;
      const moves = vectors(dimension, { M, drawKind, seed }, samples[row], step);
      for (let i = 0; i < moves.length; i++, at++) {
        queries[at] = values[row * dimension + i % dimension] + scale * moves[i];
      }
    }
    const each = { ...evaluate, samples: repeated(samples, M) };
    const shapeOfAll = [rows * M, ...shape];
    return await means(
      space,
      queries,
      shapeOfAll,
      async (x) => (await base.denoise(x, repeated(sigmas, M), each)).mean,
    );
  };
}

/** The draws of a sample, `M` rows of `d` numbers. */
function vectors(
  dimension: number,
  { M, drawKind, seed }: Omit<Perturbation, "bandwidth">,
  sample: number,
  step = 0,
): Float64Array {
  const stream = new RandomStream({ seed, sample, purpose: "smoothing", step });
  const out = new Float64Array(M * dimension);
  for (let i = 0; i < out.length; i++) {
    // The partner of a pair is the draw before it, with the other sign.
    const mirrored = drawKind === "antithetic" && Math.floor(i / dimension) % 2 === 1;
    out[i] = mirrored ? -out[i - dimension] : stream.normal();
  }
  return out;
}

function gumbel<X>(
  base: Denoiser<X>,
  variance: number,
  M: number,
  seed: number,
): Estimates {
  const { space, shape } = base;
  const { count } = subsetOf(base, GUMBEL_ACTION);
  const all = Uint32Array.from({ length: count }, (_, i) => i);
  return async (values, sigmas, samples, evaluate) => {
    const rows = sigmas.length, dimension = values.length / rows;
    const drawn = gumbelSubsets(all, { variance, M, seed }, sigmas, samples);
    const subsets = await inTurns(drawn, evaluate.signal);
    const queries = space.numbers(rows * M * dimension);
    for (let at = 0; at < queries.length; at++) {
      queries[at] = values[Math.floor(at / (M * dimension)) * dimension + at % dimension];
    }
    const each = { ...evaluate, samples: repeated(samples, M) };
    const shapeOfAll = [rows * M, ...shape];
    return await means(
      space,
      queries,
      shapeOfAll,
      (x) =>
        subsetOf(base, GUMBEL_ACTION)
          .denoiseOn(x as State, repeated(sigmas, M), subsets, each) as Promise<unknown> as Promise<
            X
          >,
    );
  };
}

/** All items for each draw, with a Gumbel number each. */
function* gumbelSubsets(
  all: Uint32Array,
  { variance, M, seed }: { readonly variance: number; readonly M: number; readonly seed: number },
  sigmas: Float64Array,
  samples: ArrayLike<number>,
): Interruptible<Subset[]> {
  const subsets: Subset[] = [];
  for (let row = 0; row < sigmas.length; row++) {
    const scale = variance * (1 + sigmas[row]) / sigmas[row] ** 2;
    const stream = new RandomStream({ seed, sample: samples[row], purpose: "smoothing" });
    // 1 − u is in (0, 1]; its logarithm is 0 with probability 2^-53, and then the number is infinite.
    const tilt = () => -scale * Math.log(-Math.log(1 - stream.uniform()) || Number.MIN_VALUE);
    for (let m = 0; m < M; m++) {
      const logWeights = new Float64Array(all.length);
      for (let i = 0; i < all.length; i++) {
        if (i % SOME === 0) yield;
        logWeights[i] = tilt();
      }
      subsets.push({ rows: all, logWeights });
    }
  }
  return subsets;
}

/** What a denoiser makes of queries, as numbers. */
async function means<X>(
  space: StateSpace<X>,
  queries: ArrayLike<number>,
  shape: readonly number[],
  denoise: (x: X) => Promise<X>,
): Promise<Float32Array | Float64Array> {
  const x = space.from(queries, shape);
  try {
    const denoised = await denoise(x);
    const values = await space.values(denoised);
    space.dispose(denoised);
    return values;
  } finally {
    space.dispose(x);
  }
}

function averages(estimates: ArrayLike<number>, M: number, dimension: number): Float64Array {
  const out = new Float64Array(estimates.length / M);
  for (let at = 0; at < estimates.length; at++) {
    out[Math.floor(at / (M * dimension)) * dimension + at % dimension] += estimates[at] / M;
  }
  return out;
}

/** Each value `M` times. */
function repeated(values: ArrayLike<number>, M: number): Float64Array {
  return Float64Array.from({ length: values.length * M }, (_, i) => values[Math.floor(i / M)]);
}

function checkOptions(bandwidth: number, M: number, drawKind: DrawKind): void {
  if (!(bandwidth >= 0 && bandwidth < Infinity)) {
    throw new RangeError(
      `Cannot ${ACTION}: bandwidth is ${bandwidth}, wanted a finite number >= 0`,
    );
  }
  if (!Number.isInteger(M) || M < 1) {
    throw new RangeError(`Cannot ${ACTION}: draws is ${M}, wanted a whole number >= 1`);
  }
  if (!["fixed", "fresh", "antithetic", "gumbel"].includes(drawKind)) {
    throw new RangeError(
      `Cannot ${ACTION}: drawKind is ${drawKind}, wanted fixed, fresh, antithetic or gumbel`,
    );
  }
  if (drawKind === "antithetic" && M % 2 === 1) {
    throw new RangeError(
      `Cannot ${ACTION}: draws is ${M}, wanted an even number for antithetic draws`,
    );
  }
}
