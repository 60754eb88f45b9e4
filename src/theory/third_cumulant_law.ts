/**
 * Statements: why a Gaussian works so early, and how far a teleport lands from the flow of the data.
 *
 * @module
 */
import { referencePosterior } from "../compute/float64/posterior.ts";
import { tinyShapes } from "../datasets/tiny_shapes.ts";
import { cumulantNorms } from "../denoisers/gaussian/cumulants.ts";
import { scaleRows } from "../denoisers/gaussian/gaussian_axes.ts";
import { gaussianTrajectory } from "../denoisers/gaussian/gaussian_trajectory.ts";
import { gaussianOfMixture, meanOfMixture } from "../denoisers/gaussian/mixture_law.ts";
import type { MixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import { dataSpectrum } from "../denoisers/gaussian/spectrum.ts";
import { startNoise } from "../base/random.ts";
import { thirdCumulants } from "./_mixture_cumulants.ts";
import { THREE_MODES } from "./_toy_mixtures.ts";
import type { ExactFlow } from "./flows/exact_flow.ts";
import { isotropicMixture } from "./flows/isotropic_mixture.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * At large noise the optimal denoiser differs from the Gaussian one by the third cumulants of the data alone:
 *
 * ```text
 * D − D_G → (1/2σ²) κ₃:(zzᵀ − I),   z = (x − μ)/σ,   rms ‖D − D_G‖ → ‖κ₃‖/(√2 σ²)
 * ```
 *
 * Both are expansions of one tilted measure, equal to first order in `x/σ²`. So the scale from which on a Gaussian is
 * enough is `σ* = ‖κ₃‖/(√2‖Σ‖)`, and not the radius of the data times `√d`.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726, for the equality to first order.
 *
 * @returns The largest deviation of the measured ratio from 1, over 600 noisy items of 400 tiny shapes
 * each at 10, 20 and 40 `σ*`, and 0.1.
 */
export async function thirdCumulantLaw(): Promise<Report> {
  const set = tinyShapes(400), d = set.dimension, count = 600;
  const spectrum = await dataSpectrum(set);
  const { third, covariance } = await cumulantNorms(set, spectrum);
  const share = (set.count - 1) / set.count;
  const noise = startNoise(67, 0, count, d);
  let worst = 0;
  for (const multiple of [10, 20, 40]) {
    const sigma = multiple * third / (Math.SQRT2 * covariance);
    const x = noise.map((e, at) => sigma * e + set.data[at % set.data.length]);
    const { mean } = referencePosterior(set, x, sigma);
    // Divisor N: the covariance of the set as it is.
    const gaussian = scaleRows(spectrum, x, (_, v) => share * v / (share * v + sigma ** 2));
    const square = mean.reduce((sum, v, at) => sum + (v - gaussian[at]) ** 2, 0);
    const ratio = Math.sqrt(square / count) / (third / (Math.SQRT2 * sigma ** 2));
    worst = Math.max(worst, Math.abs(ratio - 1));
  }
  return report("rms ‖D − D_G‖ → ‖κ₃‖/√2σ² at σ ≥ 10 σ* (|ratio − 1|)", worst, 0.1);
}

/** States at level 1000 around the mean of a mixture in the plane, at four radii and eight angles. */
function farStarts(law: MixtureLaw): Float64Array {
  const mean = meanOfMixture(law);
  return Float64Array.from(
    [0.5, 1, 1.5, 2].flatMap((radius) =>
      Array.from({ length: 8 }, (_, j) => 0.1 + j * Math.PI / 4).flatMap((angle) => [
        mean[0] + 1000 * radius * Math.cos(angle),
        mean[1] + 1000 * radius * Math.sin(angle),
      ])
    ),
  );
}

/** The flow of a mixture of isotropic modes. */
function flowOf({ weights, components }: MixtureLaw): ExactFlow {
  return isotropicMixture(components.map(({ mean }) => mean), {
    weights,
    spread: components.map(({ floor }) => Math.sqrt(floor)),
  });
}

/** A teleport of the states of {@linkcode farStarts} from level 1000. */
export interface Landing {
  /** Where it lands. */
  readonly ours: Float64Array;
  /** Where the flow of the mixture leads. */
  readonly exact: Float64Array;
  /** The difference by the law of the third cumulants. */
  readonly predicted: Float64Array;
}

/**
 * A Gaussian teleport of a mixture in the plane, the flow, and the law of their difference:
 *
 * ```text
 * x_true − x_teleport → κ₃:(zzᵀ − I)/(6σ²) (1 − (σ/σ_T)³),   z = (x_T − μ)/σ_T
 * ```
 *
 * From `d(Δ/σ)/dσ = −(D − D_G)/σ²` and the law of the denoiser.
 *
 * @param law A mixture of isotropic modes in the plane.
 * @param sigma Where the teleport lands.
 * @returns The states.
 */
export async function landing(law: MixtureLaw, sigma: number): Promise<Landing> {
  const mean = meanOfMixture(law), x = farStarts(law);
  const [, { x: ours }] = gaussianTrajectory(gaussianOfMixture(law), x, [1000, sigma]);
  const exact = await flowOf(law).transport(x, 1000, sigma);
  const predicted = new Float64Array(x.length), tensor = thirdCumulants(law);
  const factor = (1 - (sigma / 1000) ** 3) / (6 * sigma ** 2);
  for (let at = 0; at < x.length; at++) {
    const i = at % 2, row = at - i;
    const z = [0, 1].map((c) => (x[row + c] - mean[c]) / 1000);
    for (let j = 0; j < 2; j++) {
      for (let k = 0; k < 2; k++) {
        predicted[at] += factor * tensor[4 * i + 2 * j + k] * (z[j] * z[k] - (j === k ? 1 : 0));
      }
    }
  }
  return { ours, exact, predicted };
}

/** The root mean square distance of rows in the plane. */
export function rmsDistance(a: Float64Array, b: Float64Array): number {
  return Math.sqrt(a.reduce((sum, v, at) => sum + (v - b[at]) ** 2, 0) / (a.length / 2));
}

/**
 * The error of a teleport at σ = 0.002, when the rest of the way was followed exactly.
 *
 * @param law A mixture of isotropic modes in the plane.
 * @param sigma Where the teleport lands.
 * @returns Its root mean square over the states of {@linkcode farStarts}.
 */
export async function finalError(law: MixtureLaw, sigma: number): Promise<number> {
  const flow = flowOf(law), { ours, exact } = await landing(law, sigma);
  const end = await flow.transport(ours, sigma, 0.002);
  return rmsDistance(end, await flow.transport(exact, sigma, 0.002));
}

/**
 * A teleport lands off the flow of the data by the third cumulants over `6σ²`.
 *
 * @returns The largest deviation of measured over predicted root mean square from 1, over landings at 5, 10, 20 and
 * 40 on a mixture of three modes in the plane, and 0.005.
 */
export async function teleportDisplacement(): Promise<Report> {
  let worst = 0;
  for (const sigma of [5, 10, 20, 40]) {
    const { ours, exact, predicted } = await landing(THREE_MODES, sigma);
    const law = Math.hypot(...predicted) / Math.sqrt(predicted.length / 2);
    worst = Math.max(worst, Math.abs(rmsDistance(ours, exact) / law - 1));
  }
  return report("a teleport lands off by ‖κ₃:(zzᵀ−I)‖/6σ² at σ ≥ 5 (|ratio − 1|)", worst, 0.005);
}

/**
 * After the rest of the way, the error of a teleport has shrunk to the third power of where it landed.
 *
 * @returns The distance of the slope of `ln error` over `ln σ` from −3 between landings at 10 and 40, and 0.2.
 */
export async function teleportFinalError(): Promise<Report> {
  const [near, far] = await Promise.all([10, 40].map((s) => finalError(THREE_MODES, s)));
  const slope = Math.log(far / near) / Math.log(4);
  return report(
    "the final error of a teleport falls as σ⁻³ (|slope + 3|)",
    Math.abs(slope + 3),
    0.2,
  );
}
