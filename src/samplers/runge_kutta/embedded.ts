/**
 * Samplers made from embedded Runge–Kutta methods.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import type { Sampler } from "../sampler.ts";
import { adaptive } from "./adaptive.ts";
import { oneStep } from "../_one_step.ts";
import { IN_LOG_SIGMA, rungeKuttaStep } from "./on_grid.ts";
import type { EmbeddedTableau } from "./tableaus.ts";

/** Options of an embedded Runge–Kutta sampler. */
export interface EmbeddedOptions {
  /**
   * The error that a step may make, relative to the norm of the state. Raised to sixteen times the unit roundoff of
   * the states if it is below, which is 1e-6 on tensors. Default 1e-6.
   */
  readonly tolerance?: number;
  /**
   * Whether the steps are adapted, each sample with steps of its own, and the grid gives the ends only. If
   * false, every interval of the grid is one step. Default true.
   */
  readonly adaptive?: boolean;
}

const OPTIONS = { tolerance: 1e-6, adaptive: true } satisfies OptionTable<EmbeddedOptions>;

/** The sampler of a tableau. */
export function embedded(
  name: string,
  tableau: EmbeddedTableau,
  references: readonly string[],
  options: EmbeddedOptions,
): Sampler {
  const { tolerance, adaptive: adapts } = readOptions(`make ${name}`, options, OPTIONS);
  if (!(tolerance > 0 && tolerance < 1)) {
    throw new RangeError(
      `Cannot make ${name}: tolerance is ${tolerance}, wanted a number in (0, 1)`,
    );
  }
  const { order } = tableau;
  if (!adapts) {
    return {
      name: `${name}-grid`,
      order,
      references,
      run: (denoiser, x, sigmas, run) =>
        oneStep(rungeKuttaStep(tableau, IN_LOG_SIGMA), denoiser, x, sigmas, run),
    };
  }
  return {
    name,
    order,
    references,
    run(denoiser, x, sigmas, run) {
      const float32 = denoiser.space.numbers(0) instanceof Float32Array;
      const least = 16 * (float32 ? 2 ** -24 : 2 ** -53);
      return adaptive(tableau, Math.max(tolerance, least), denoiser, x, sigmas, run);
    },
  };
}
