/**
 * What some denoisers can do beside denoising, for wrappers that make use of it.
 *
 * It belongs to the method `denoise` and not to the object: a copy with a method of its own is another
 * denoiser, of which none of this is true.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import type { State } from "../compute/batch.ts";
import type { DataStore, Device } from "../compute/device.ts";
import type { Sigma } from "../compute/posterior.ts";
import type { Subset } from "../compute/subset.ts";
import type { TiltedPosterior } from "../compute/tilted.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { Denoiser, SubsetOptions } from "./denoiser.ts";

/** A denoiser over a data set that can be restricted to a part of it, another for each query. */
export interface SubsetAccess {
  /** Number of items in the whole data set, `N`. */
  readonly count: number;
  /**
   * The data on their device, if the estimate is their posterior mean: one weight per item. Only
   * then does the mass of the items left out bound the error. Absent where weights differ from pixel to pixel.
   */
  readonly store?: DataStore;
  /** The places of the items in the whole set, of a part of one: see `Dataset.items`. */
  readonly items?: Uint32Array;
  /**
   * The estimate as if the data set held only some of its items.
   *
   * @param x Noisy states, a tensor or an array of `B` rows. Not disposed.
   * @param sigma Noise level in data units, one for all rows or one each.
   * @param subsets The items, one subset per row of `x`.
   * @returns The restricted estimate, a new state of the kind of `x`.
   */
  denoiseOn<X extends State>(
    x: X,
    sigma: Sigma,
    subsets: readonly Subset[],
    options?: SubsetOptions,
  ): Promise<X>;
}

/** What a denoiser can do beside denoising. */
export interface Capabilities<X> {
  /** It can be restricted to some of its items. */
  readonly subset?: SubsetAccess;
  /** It averages over queries that are moved along kept vectors faster than by denoising each of them. */
  readonly tilted?: TiltedPosterior<X>;
  /** It stands on data in memory, which what is built on it may use. */
  readonly data?: HeldData;
}

/** The data that a denoiser stands on. */
export interface HeldData {
  /** The data; if the denoiser is restricted to a class, that class. */
  readonly dataset: Dataset;
  /** Where it computes. */
  readonly device: Device;
}

const KNOWN = new WeakMap<object, unknown>();

/**
 * Keeps what a denoiser can do. It shows itself at the end of a notebook cell.
 *
 * @param denoiser The denoiser.
 * @param capabilities What it can do.
 */
export function keepCapabilities<X>(denoiser: Denoiser<X>, capabilities: Capabilities<X>): void {
  KNOWN.set(denoiser.denoise, capabilities);
  showsItself(denoiser);
}

/**
 * What a denoiser can do beside denoising; nothing, if its method was replaced.
 *
 * @param denoiser Any denoiser.
 * @returns Its capabilities.
 */
export function capabilitiesOf<X>(denoiser: Denoiser<X>): Capabilities<X> {
  return KNOWN.get(denoiser.denoise) as Capabilities<X> | undefined ?? {};
}

/**
 * How a denoiser is restricted to some of its items.
 *
 * @param denoiser The denoiser.
 * @param action What is attempted, for the message.
 * @returns Its access to subsets.
 * @throws {TypeError} If it cannot be restricted.
 */
export function subsetOf<X>(denoiser: Denoiser<X>, action: string): SubsetAccess {
  const { subset } = capabilitiesOf(denoiser);
  if (subset) return subset;
  throw new TypeError(
    `Cannot ${action}: ${denoiser.label} cannot be restricted to some items, wanted a denoiser over a data set as it was returned, such as that of optimal()`,
  );
}

/**
 * The data that a denoiser stands on.
 *
 * @param denoiser The denoiser.
 * @param action What is attempted, for the message.
 * @returns Its data and its device.
 * @throws {TypeError} If it holds none in memory.
 */
export function dataOf<X>(denoiser: Denoiser<X>, action: string): HeldData {
  const { data } = capabilitiesOf(denoiser);
  if (data) return data;
  throw new TypeError(
    `Cannot ${action}: ${denoiser.label} holds no data in memory, wanted a data set, or a denoiser of one as it was returned`,
  );
}
