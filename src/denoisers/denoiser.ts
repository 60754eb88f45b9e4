/**
 * The denoiser interface: the one function a diffusion model needs.
 *
 * @module
 */
import type { DataStore } from "../compute/device.ts";
import type { PixelRegion } from "../compute/pixel_region.ts";
import type { EvaluateOptions, Posterior, Sigma } from "../compute/posterior.ts";
import type { Subset } from "../compute/subset.ts";
import type { TiltedPosterior } from "../compute/tilted.ts";
import type { StateSpace } from "../linear_space.ts";
import type { RandomStream } from "../random.ts";

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
   * Denoises a batch.
   *
   * @param x Noisy states, `B` rows. Not disposed.
   * @param sigma Noise level in data units, one for all rows or one each.
   * @returns `D(x, σ)`, a new state of the shape of `x`.
   */
  denoise(x: X, sigma: Sigma, options?: EvaluateOptions): Promise<X>;
  /** Like {@linkcode Denoiser.denoise}, with whatever is known for free about each row. */
  posterior?(
    x: X,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Posterior<X>>;
  /**
   * The same denoiser averaged over queries that are moved along kept vectors, if it can do that faster
   * than by denoising each of them. Whoever replaces {@linkcode Denoiser.denoise} must drop this.
   */
  readonly tilted?: TiltedPosterior<X>;
}

/** Options of {@linkcode SubsetDenoiser.denoiseOn}. */
export interface SubsetOptions extends EvaluateOptions {
  /** Compute only these pixels of each image; the result then has shape `[B, height, width, C]`. Default: all. */
  readonly region?: PixelRegion;
}

/** A denoiser over a data set that can be restricted to a part of it, another for each query. */
export interface SubsetDenoiser<X> extends Denoiser<X> {
  /** Number of items in the whole data set, `N`. */
  readonly count: number;
  /**
   * The data on their device, if the estimate is their posterior mean: one weight per item. Only
   * then does the mass of the items left out bound the error. Absent where weights differ from pixel to pixel.
   */
  readonly store?: DataStore;
  /**
   * Like {@linkcode Denoiser.denoise}, as if the data set held only some of its items.
   *
   * @param x Noisy states, `B` rows. Not disposed.
   * @param sigma Noise level in data units, one for all rows or one each.
   * @param subsets The items, one subset per row of `x`.
   * @returns The restricted estimate, a new state.
   */
  denoiseOn(
    x: X,
    sigma: Sigma,
    subsets: readonly Subset[],
    options?: SubsetOptions,
  ): Promise<X>;
}
