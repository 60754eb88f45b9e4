/**
 * Statement: the flow carries the law of noised data from one noise level to the next.
 *
 * @module
 */
import { gaussianLaw, logDensityGaussian } from "../denoisers/gaussian/gaussian_law.ts";
import { mixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import type { MixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import { dop853 } from "../samplers/dop853.ts";
import { mixtureFlow } from "./flows/mixture_flow.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * The probability flow preserves the marginals. On a line, where trajectories cannot cross, that says that
 * each keeps its quantile:
 *
 * ```text
 * F_σ'(x(σ')) = F_σ(x(σ)),   F_σ the distribution function of x₀ + σε
 * ```
 *
 * No property of the solver enters but its accuracy; it is DOP853, with steps adapted to 1e-10.
 *
 * @returns The largest change of a quantile, over nine trajectories of a mixture of two Gaussians from σ = 6 to 0.05, and 1e-8.
 */
export async function quantilesAreKept(): Promise<Report> {
  const law = mixtureLaw([0.3, 0.7], [gaussianLaw([-1], 0.04), gaussianLaw([0.8], 0.09)]);
  const { denoiser } = mixtureFlow(law);
  const start = Float64Array.of(-12, -6, -3, -1, 0, 1, 3, 6, 12), sigmas = [6, 0.05];
  const before = start.map((x) => distribution(law, x, sigmas[0]));
  let worst = Infinity;
  for await (const { x, sigma } of dop853({ tolerance: 1e-10 }).run(denoiser, start, sigmas)) {
    // Rows reach the end in different rounds; the last record has all of them there.
    if (sigma !== sigmas[1]) continue;
    worst = x.reduce(
      (most, v, i) => Math.max(most, Math.abs(distribution(law, v, sigma) - before[i])),
      0,
    );
  }
  return report("trajectories on a line keep their quantile (largest change)", worst, 1e-8);
}

/** `P(x₀ + σε ≤ x)` by Simpson's rule over ten deviations below: 4000 panels, error below 1e-12. */
function distribution(law: MixtureLaw, x: number, sigma: number): number {
  const least = -1 - 10 * Math.hypot(0.3, sigma), panels = 4000;
  if (x <= least) return 0;
  const density = (v: number) =>
    law.components.reduce((sum, component, m) => {
      const log = logDensityGaussian(component, Float64Array.of(v), sigma);
      return sum + law.weights[m] * Math.exp(log) / Math.sqrt(2 * Math.PI);
    }, 0);
  let sum = 0;
  for (let i = 0; i <= panels; i++) {
    const weight = i === 0 || i === panels ? 1 : i % 2 ? 4 : 2;
    sum += weight * density(least + (x - least) * i / panels);
  }
  return sum * (x - least) / panels / 3;
}
