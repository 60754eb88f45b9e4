/**
 * What stores share whose rows all lie on the device: posteriors per coordinate and per pixel.
 *
 * @module
 */
import type { StateNumbers } from "./batch.ts";
import type { Mask } from "./mask.ts";
import { checkMasked, MASKED_ACTION } from "./masked_posterior.ts";
import type { MaskedOptions } from "./masked_posterior.ts";
import type { Sigma } from "./posterior.ts";
import { Store } from "./_store.ts";
import { WINDOW_ACTION, windowJob } from "./windowed.ts";
import type { WindowJob, WindowOptions, WindowPosterior } from "./windowed.ts";

/** Data that lie on a device as a whole, which reads its queries as numbers of type `N`. */
export abstract class HeldStore<N extends StateNumbers> extends Store<N> {
  /** The masked means of queries that are checked. */
  protected abstract maskedMeans(
    queries: N,
    sigma: number,
    mask: Mask,
    options: MaskedOptions,
  ): Promise<N>;

  /** The posterior per pixel of queries that are checked, which `job` describes. */
  protected abstract perPixel(
    queries: N,
    job: WindowJob,
    options: WindowOptions,
  ): Promise<WindowPosterior<N>>;

  async masked(
    queries: N,
    sigma: number,
    mask: Mask,
    options: MaskedOptions = {},
  ): Promise<N> {
    using _call = this.begin(MASKED_ACTION);
    checkMasked(this, queries, sigma, mask, options);
    return await this.maskedMeans(queries, sigma, mask, options);
  }

  async windowed(
    queries: N,
    sigma: Sigma,
    options: WindowOptions,
  ): Promise<WindowPosterior<N>> {
    using _call = this.begin(WINDOW_ACTION);
    return await this.perPixel(queries, windowJob(this, queries, sigma, options), options);
  }
}
