/**
 * Statements: what errors of the denoiser, rounding and perturbations do to the end of a trajectory.
 *
 * @module
 */
import { medianOf } from "../base/_quantile.ts";
import { sizeOf } from "../base/_shape.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { logSnrGrid } from "../base/noise.ts";
import { collocation } from "../samplers/collocation.ts";
import { collocate, lastStep, RANGE, REFERENCE, rowDistances } from "./_flow_runs.ts";
import { isotropicMixture } from "./flows/isotropic_mixture.ts";
import { ringTarget, sphereTarget } from "./flows/targets.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

type FloatDenoiser = Denoiser<Float64Array>;

/**
 * A smooth error of the denoiser moves the ends of trajectories by a few times its size, and not by more.
 *
 * ```text
 * D̃ = D + δ R u(ℓ),   u a unit vector that turns by a radian per unit of ℓ = −ln σ,   δ = 1e-2, 1e-3, 1e-4
 * ```
 *
 * So a tolerance below the error of a learned score reproduces that score's own flow.
 *
 * @returns The largest median movement, in units of `δ R`, and 4.
 */
export async function smoothErrors(): Promise<Report> {
  let worst = 0;
  for (const target of [ringTarget({ seed: 8 }), sphereTarget(32, { seed: 8 })]) {
    const { dimension, scale } = target;
    const start = target.draw(48, RANGE.sigmaMax, 8);
    const exact = (await collocate({ tolerance: 1e-8 }, target, start)).x;
    for (const delta of [1e-2, 1e-3, 1e-4]) {
      const size = delta * scale;
      const denoiser = altered(target.denoiser, (v, c, sigma) => {
        const angle = -Math.log(sigma);
        return v + (c === 0 ? size * Math.cos(angle) : c === 1 ? size * Math.sin(angle) : 0);
      });
      const { x } = await collocate({ tolerance: 1e-8 }, { denoiser }, start);
      worst = Math.max(worst, medianOf(rowDistances(x, exact, dimension)) / size);
    }
  }
  return report("a smooth error δ of D moves the end by a few δ (median, in δ)", worst, 4);
}

/** A denoiser whose numbers are changed, each by itself. */
function altered(
  denoiser: FloatDenoiser,
  change: (value: number, coordinate: number, sigma: number) => number,
): FloatDenoiser {
  const dimension = sizeOf(denoiser.shape);
  return {
    ...denoiser,
    async denoise(x, sigma, options) {
      const { mean } = await denoiser.denoise(x, sigma, options);
      const changed = mean.map((v, i) => {
        const level = typeof sigma === "number" ? sigma : sigma[Math.floor(i / dimension)];
        return change(v, i % dimension, level);
      });
      return { mean: changed };
    },
  };
}

/**
 * A denoiser of `b` significant bits, float32, tf32 or bfloat16, still gives ends to about its roundoff
 * `u = 2^{−b}`, at a bounded cost: the guard stops where only noise is left.
 *
 * @returns The largest median error in units of `u R` for b = 24, 11, 8, and 1; infinite if a run takes more than 400 evaluations.
 */
export async function roundedDenoiser(): Promise<Report> {
  const target = sphereTarget(32, { seed: 9 });
  const { dimension, scale } = target;
  const start = target.draw(24, RANGE.sigmaMax, 9);
  const exact = (await collocate(REFERENCE, target, start)).x;
  let worst = 0;
  for (const bits of [24, 11, 8]) {
    const denoiser = altered(target.denoiser, (v) => rounded(v, bits));
    const roundoff = 2 ** -bits;
    // The tolerance asks for more than there is, and is raised to what the roundoff allows.
    const { x, evaluations } = await collocate({ tolerance: 1e-9, roundoff }, { denoiser }, start);
    const error = medianOf(rowDistances(x, exact, dimension)) / (roundoff * scale);
    worst = Math.max(worst, evaluations <= 400 ? error : Infinity);
  }
  return report("a denoiser of roundoff u reaches u (median error in u, 24, 11, 8 bits)", worst, 1);
}

/** The nearest number of so many significant bits. */
function rounded(value: number, bits: number): number {
  if (value === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) + 1 - bits);
  return Math.round(value / unit) * unit;
}

/**
 * Between two points a trajectory that is balanced down to noise `s` amplifies what disturbs it
 * by `exp(1/2s²)`: it is truly ill conditioned, whatever the sampler.
 *
 * ```text
 * D = tanh(x/σ²),   dδ/dℓ = (1/σ² − 1) δ at x = 0,   δ(s)/δ(σ) = (s/σ) exp(1/2s² − 1/2σ²)
 * ```
 *
 * @returns The largest relative deviation from the formula for s = 0.5, 0.35 and 0.25, and 1e-5.
 */
export async function separatrixAmplification(): Promise<Report> {
  const { denoiser } = isotropicMixture([[-1], [1]]);
  const sigma = 40;
  let worst = 0;
  for (const s of [0.5, 0.35, 0.25]) {
    const factor = s / sigma * Math.exp(1 / (2 * s * s) - 1 / (2 * sigma * sigma));
    // So small at the end that tanh is linear, so small at the start that nothing else matters.
    const start = Float64Array.of(1e-5 * s * s / factor);
    const sampler = collocation({ tolerance: 1e-12, scale: 1e-5 });
    const { sigmas } = logSnrGrid(1, { sigmaMax: sigma, sigmaMin: s });
    const { x } = await lastStep(sampler, denoiser, start, sigmas);
    worst = Math.max(worst, Math.abs(x[0] / (start[0] * factor) - 1));
  }
  return report("a balanced trajectory amplifies by exp(1/2s²) (relative deviation)", worst, 1e-5);
}

/**
 * Such trajectories are rare: the share that amplifies by more than `A` falls like `1/A`. So errors
 * of samples have heavy tails, and medians and quantiles are to be reported.
 *
 * ```text
 * A = exp ∫ (‖∇D‖ − 1)₊ dℓ,   ‖∇D‖ the largest eigenvalue along the trajectory
 * ```
 *
 * Eight modes on a ring, 400 trajectories.
 *
 * @returns The largest `A · P(amplification > A)` for A ≥ 2, and 2.
 */
export async function rareAmplification(): Promise<Report> {
  const amplifications = (await ringAmplifications(400, 10)).sort();
  let worst = 0;
  amplifications.forEach((a, i) => {
    if (a >= 2) worst = Math.max(worst, a * (amplifications.length - i) / amplifications.length);
  });
  return report("A · P(a trajectory amplifies by more than A), A ≥ 2", worst, 2);
}

/** The amplification of trajectories of the ring, bounded by the norm of the Jacobian along them. */
async function ringAmplifications(count: number, seed: number): Promise<Float64Array> {
  const target = ringTarget({ seed });
  const levels = logSnrGrid(180, RANGE).sigmas;
  const step = Math.log(levels[0] / levels[1]);
  const growth = new Float64Array(count);
  const start = target.draw(count, RANGE.sigmaMax, seed);
  // The published scheme stops at every level of the grid, with all rows.
  const sampler = collocation({ mode: "published", nodes: 2 });
  for await (const { x, sigma } of sampler.run(target.denoiser, start, levels)) {
    const norms = await jacobianNorms(target.denoiser, x, sigma);
    norms.forEach((norm, r) => growth[r] += Math.max(0, norm - 1) * step);
  }
  return growth.map(Math.exp);
}

/** Norms of the 2 × 2 Jacobians, which are symmetric, by central differences. */
async function jacobianNorms(
  denoiser: FloatDenoiser,
  x: Float64Array,
  sigma: number,
): Promise<Float64Array> {
  const h = 1e-5 * sigma;
  const columns = await Promise.all([0, 1].map(async (axis) => {
    const [up, down] = await Promise.all(
      [h, -h].map(async (by) => {
        const moved = x.map((v, i) => i % 2 === axis ? v + by : v);
        return (await denoiser.denoise(moved, sigma)).mean;
      }),
    );
    return up.map((v, i) => (v - down[i]) / (2 * h));
  }));
  return Float64Array.from({ length: x.length / 2 }, (_, r) => {
    const [a, b, c] = [columns[0][2 * r], columns[0][2 * r + 1], columns[1][2 * r + 1]];
    return (a + c) / 2 + Math.hypot((a - c) / 2, b);
  });
}
