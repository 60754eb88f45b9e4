/**
 * What a run with a certified golden subset kept of its promise, and what it says of the ends.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { EndEstimate } from "../samplers/end_estimate.ts";

/** A denoiser whose certificates are counted. */
export interface Counted {
  /** The denoiser. */
  readonly denoiser: Denoiser<AnyTensor>;
  /** Posterior means so far, and those of them without a certificate. */
  readonly means: { all: number; open: number };
}

/** Counts the posterior means of a denoiser that have no certificate. */
export function counted(denoiser: Denoiser<AnyTensor>): Counted {
  const means = { all: 0, open: 0 };
  return {
    means,
    denoiser: {
      ...denoiser,
      async denoise(x, sigma, options) {
        const denoised = await denoiser.denoise(x, sigma, options);
        const { certified } = denoised;
        means.all += x.shape[0];
        means.open += certified?.filter((is) => is === 0).length ?? x.shape[0];
        return denoised;
      },
    },
  };
}

/** What became of a promise. */
export interface Kept {
  /** What is wrong with it, if it was not kept. */
  readonly warnings: readonly string[];
  /** What the record of the run says about it. */
  readonly record: Readonly<Record<string, unknown>>;
  /** What was promised of the run, and what is estimated of its ends. */
  readonly line: string;
}

/** What became of the promise that every posterior mean is within a tolerance. */
export function keptOf(
  { all, open }: Counted["means"],
  tolerance: number,
  estimate: EndEstimate,
): Kept {
  const { probes, otherItem, medianDistance, largestDistance } = estimate;
  const text = (distance: number) => distance.toPrecision(2);
  return {
    warnings: open === 0 ? [] : [
      `${open} of ${all} posterior means are so far from the data that float64 cannot promise --tolerance ${tolerance}`,
    ],
    record: { promised: { tolerance, all, open }, endEstimate: estimate },
    line:
      `${
        open === 0 ? "all" : `${all - open} of`
      } ${all} posterior means are within ${tolerance} of ` +
      `those over all items at the same state; of the ends there is an estimate: of ${probes} run again with ` +
      `errors as large as their bounds, ${otherItem} ended at another item; they moved by ${
        text(medianDistance)
      } per number (median), at most by ${text(largestDistance)}`,
  };
}
