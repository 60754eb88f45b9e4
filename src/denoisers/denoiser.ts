/**
 * The denoiser interface: the one function a diffusion model needs.
 *
 * @module
 */
import type { PixelRegion } from "../compute/pixel_region.ts";
import type { EvaluateOptions, PosteriorFacts, Sigma } from "../compute/posterior.ts";
import type { StateSpace } from "../states/linear_space.ts";
import type { GridName } from "../base/noise.ts";
import type { RandomStream } from "../base/random.ts";

/**
 * What a denoiser returns: the posterior mean, and what it knows of each row for free.
 *
 * `F` are the facts that it always knows; of others, there may be some or none.
 */
export type Denoised<X, F = unknown> =
  & {
    /** `D(x, σ)`, a new state of the shape of the queries, in data units. */
    readonly mean: X;
  }
  & Partial<PosteriorFacts>
  & F;

/**
 * A denoiser `D(x, σ) ≈ E[x₀ | x₀ + σε = x]`, in variance-exploding coordinates.
 *
 * `X` is a tfjs tensor of shape `[B, …shape]` (speed) or a `Float64Array` of
 * `B` rows (theory).
 */
export interface Denoiser<X> {
  /** What it is, in a few words. */
  readonly label: string;
  /** Where it comes from: papers, one per entry. */
  readonly references: readonly string[];
  /** The shape of one sample, channels last. */
  readonly shape: readonly number[];
  /** The space its states live in. */
  readonly space: StateSpace<X>;
  /**
   * The limit `D(·, ∞)`, one number per coordinate: the mean of the data.
   * Grids that start at pure noise need it.
   */
  readonly mean?: () => Float64Array;
  /** A random item of the data, `d` numbers: what grids that start at noised data need. */
  readonly draw?: (stream: RandomStream) => ArrayLike<number>;
  /**
   * The size of its data: the root mean square per number, about zero, of the largest item. {@linkcode sample} refuses ends that
   * are far beyond it.
   *
   * @param enough A size from which on any item will do, so that not all need to be looked at. Default: none.
   */
  readonly rms?: (enough?: number) => number | Promise<number>;
  /**
   * Whether it draws other random numbers at each noise level, as a sampled tail does. Then it is no smooth
   * function of the level, and samplers that adapt their steps refuse it. Default false.
   */
  readonly drawsPerLevel?: boolean;
  /** The grid and the number of steps that its samples need, where {@linkcode sample} is given none. Default: none of its own. */
  readonly grid?: { readonly name: GridName; readonly steps: number };
  /**
   * Denoises a batch. Samplers and wrappers call this method and no other: a copy of a denoiser with
   * another `denoise` is another denoiser.
   *
   * @param x Noisy states, `B` rows. Not disposed.
   * @param sigma Noise level in data units, one for all rows or one each.
   * @returns `D(x, σ)`, a new state of the shape of `x`, and facts with one value per row.
   */
  denoise(x: X, sigma: Sigma, options?: EvaluateOptions): Promise<Denoised<X>>;
}

/** Options of an evaluation over some of the items. */
export interface SubsetOptions extends EvaluateOptions {
  /** Compute only these pixels of each image; the result then has shape `[B, height, width, C]`. Default: all. */
  readonly region?: PixelRegion;
}
