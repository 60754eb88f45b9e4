/**
 * What every sampler does around its formula: call the denoiser, count, listen to the signal, own states.
 *
 * @module
 */
import { checkOptionNames } from "../base/_options.ts";
import type { Sigma } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { OwnedStates } from "./_owned_states.ts";
import { SAMPLER_OPTIONS, type SamplerOptions } from "./sampler.ts";

/** One run of a sampler: its denoiser, the calls so far, and the states made by it. */
export class Evaluator<X> extends OwnedStates<X> {
  /** Batched denoiser calls so far. */
  calls = 0;
  /** What denoisers tell this run by. */
  readonly #run = {};

  constructor(readonly denoiser: Denoiser<X>, readonly options: SamplerOptions = {}) {
    super(denoiser.space);
    checkOptionNames("sample", options, SAMPLER_OPTIONS);
  }

  /**
   * The denoiser's output, owned. The signal is heard before and after.
   *
   * @param samples The sample that each row belongs to, if not all rows of the run go in, in their order.
   */
  async denoise(
    x: X,
    sigma: Sigma,
    samples: ArrayLike<number> | undefined = this.options.samples,
  ): Promise<X> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    this.calls++;
    const run = this.#run;
    const options = { signal, run, ...(samples && { samples }) };
    const { mean } = await this.denoiser.denoise(x, sigma, options);
    this.own(mean);
    signal?.throwIfAborted();
    return mean;
  }

  /** The linear combination of states, owned. */
  combine(coefficients: readonly number[], states: readonly X[]): X {
    return this.own(this.space.combine(coefficients, states));
  }
}
