/**
 * Statements: the error of collocation falls geometrically with every node, and faster than
 * geometrically with every sweep.
 *
 * @module
 */
import { gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { logSnrGrid } from "../base/noise.ts";
import { collocation } from "../samplers/collocation.ts";
import { collocate, lastStep, RANGE, REFERENCE, relativeError, slopeOf } from "./_flow_runs.ts";
import { gaussianFlow } from "./flows/gaussian_flow.ts";
import { sphereTarget } from "./flows/targets.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * The published scheme with `p` nodes and `p` sweeps: the error falls by a constant factor with
 * every `p`, in 2 as in 512 dimensions, because the denoiser is analytic along the flow.
 *
 * Windows of length 0.25, ten modes on the unit sphere, `p = 2, 4, 6, 8`.
 *
 * @returns The largest mean factor of the error per `p`, by a line through the logarithms, and 1/4.
 */
export async function spectralDecayInNodes(): Promise<Report> {
  const windows = Math.round(Math.log(RANGE.sigmaMax / RANGE.sigmaMin) / 0.25);
  const degrees = [2, 4, 6, 8];
  let worst = 0;
  for (const [dimension, count] of [[2, 8], [32, 8], [512, 3]]) {
    const target = sphereTarget(dimension, { seed: 1 });
    const start = target.draw(count, RANGE.sigmaMax, 1);
    const exact = (await collocate(REFERENCE, target, start)).x;
    const logs: number[] = [];
    for (const nodes of degrees) {
      const { x } = await collocate({ mode: "published", nodes }, target, start, windows);
      logs.push(Math.log(relativeError(x, exact)));
    }
    worst = Math.max(worst, Math.exp(slopeOf(degrees, logs)));
  }
  return report(
    "published collocation, K = S = p: factor of the error per p, d = 2, 32, 512",
    worst,
    1 / 4,
  );
}

/**
 * At Gauss nodes the factor per node is `ρ⁻²`, where `ρ` belongs to the singularities of the denoiser.
 *
 * ```text
 * D = x τ²/(τ² + e^{−2ℓ}) has its poles at ℓ = −ln τ ± iπ/2; in a window of length h centred there,
 * ρ = a + √(a² + 1),   a = π/h
 * ```
 *
 * @returns The largest `|ln(factor · ρ²)|` for h = 1, 1.5 and 2.25, the factor over two nodes as a geometric mean, and `ln 1.3`.
 */
export async function gaussNodesDecay(): Promise<Report> {
  const { denoiser, transport } = gaussianFlow(gaussianLaw([0], 1));
  let worst = 0;
  for (const h of [1, 1.5, 2.25]) {
    const a = Math.PI / h, rho = a + Math.sqrt(a * a + 1);
    const sigmas = [Math.exp(h / 2), Math.exp(-h / 2)];
    const [exact] = await transport(Float64Array.of(1), sigmas[0], sigmas[1]);
    const logs: number[] = [];
    for (let nodes = 2; nodes <= 6; nodes++) {
      const sampler = collocation({ mode: "static", nodes, tolerance: 1e-14 });
      const { x } = await lastStep(sampler, denoiser, Float64Array.of(1), sigmas);
      logs.push(Math.log(Math.abs(x[0] - exact)));
    }
    // Errors alternate with the parity of K: over two nodes they do not.
    const perNode = [0, 1, 2].map((k) => (logs[k + 2] - logs[k]) / 2)
      .reduce((sum, v) => sum + v, 0) / 3;
    worst = Math.max(worst, Math.abs(perNode + 2 * Math.log(rho)));
  }
  return report("Gauss nodes gain ρ² per node (|log of the ratio|)", worst, Math.log(1.3));
}

/**
 * Picard's sweeps converge like an exponential series: the iteration is of Volterra type.
 *
 * ```text
 * e_S ≤ (Lip h)^S/S! · max |X⁽¹⁾ − X|,   Lip = max τ²/(τ² + σ²)
 * ```
 *
 * The right side is what iterating `|e(t)| ≤ Lip ∫₀ᵗ |e|` gives. One Gaussian, one window of length
 * 1.5 with 16 nodes, `S = 1 … 10`.
 *
 * @returns The largest ratio of the two sides, and 1.
 */
export async function sweepsDecay(): Promise<Report> {
  const h = 1.5, start = Float64Array.of(1);
  const { denoiser, transport } = gaussianFlow(gaussianLaw([0], 1));
  const { sigmas } = logSnrGrid(1, { sigmaMax: Math.exp(h / 2), sigmaMin: Math.exp(-h / 2) });
  const [sigma, end] = sigmas;
  const { mean: [first] } = await denoiser.denoise(start, sigma);
  let deviation = 0;
  for (let n = 0; n <= 64; n++) {
    const t = h * n / 64, decay = Math.exp(-t);
    const [exact] = await transport(start, sigma, sigma * decay);
    deviation = Math.max(deviation, Math.abs(decay + (1 - decay) * first - exact));
  }
  const lipschitz = 1 / (1 + end * end);
  const [exact] = await transport(start, sigma, end);
  let worst = 0, bound = deviation;
  for (let sweeps = 1; sweeps <= 10; sweeps++) {
    const sampler = collocation({ mode: "published", nodes: 16, sweeps });
    const { x } = await lastStep(sampler, denoiser, start, sigmas);
    bound *= lipschitz * h / sweeps;
    worst = Math.max(worst, Math.abs(x[0] - exact) / bound);
  }
  return report("Picard sweeps: error after S ≤ (Lip h)^S/S! · first error (ratio)", worst, 1);
}
