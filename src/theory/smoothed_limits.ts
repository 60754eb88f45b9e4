/**
 * Statements about limits of smoothed closed-form diffusion: few points, many draws, and the bandwidth.
 *
 * @module
 */
import { Dataset } from "../datasets/dataset.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { arraySpace } from "../states/linear_space.ts";
import { wasserstein2 } from "../metrics/wasserstein.ts";
import { uniformTGrid } from "../base/noise.ts";
import { sample } from "../samplers/sample.ts";
import { circle, endsOf, isNear, onLine, shareWhere } from "./_smoothed_runs.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/**
 * Two points, two draws, a huge bandwidth: each draw picks a point at random, so the law is
 * `−a, 0, a` with `1/4, 1/2, 1/4`.
 *
 * @returns The largest deviation of a share from its law, in standard errors.
 */
export async function twoPointLaw(): Promise<Report> {
  const count = 3000;
  const x = await endsOf(onLine(-1, 1), { bandwidth: 50, draws: 2 }, 100, count);
  const law: [number, number][] = [[-1, .25], [0, .5], [1, .25]];
  const deviations = law.map(([at, p]) => {
    const share = shareWhere(x, 1, isNear([[at]], 1e-6));
    return Math.abs(share - p) / Math.sqrt(p * (1 - p) / count);
  });
  return report(
    "two points, two draws: shares 1/4, 1/2, 1/4, in standard errors",
    Math.max(...deviations),
    4,
  );
}

/**
 * Antithetic draws of two points under a huge bandwidth pick opposite points: all samples are in the middle.
 *
 * @returns The share of 1,000 samples that are not, and 0.02: draws near zero pick by the state.
 */
export async function antitheticPair(): Promise<Report> {
  const options = { bandwidth: 50, draws: 2, drawKind: "antithetic" } as const;
  const x = await endsOf(onLine(-1, 1), options, 100, 1000);
  return report(
    "two points, an antithetic pair of draws: share away from the middle",
    1 - shareWhere(x, 1, isNear([[0]], 1e-6)),
    .02,
  );
}

/**
 * Exact smoothing of two points at `±a` ends where `z = a(2Φ(z/β) − 1)`, which is not 0 exactly if
 * `β < a√(2/π)`: neighbours at a gap `g = 2a` merge at `β* = g/√(2π)`, the rule for the bandwidth.
 *
 * @returns How far the ends are from that, for a bandwidth well below and one well above `β* = 0.798`.
 */
export async function mergingBandwidth(): Promise<Report> {
  const ends = async (bandwidth: number) =>
    await endsOf(onLine(-1, 1), { bandwidth, draws: 400, drawKind: "antithetic" }, 100, 6);
  // z = 2Φ(z/0.3) − 1 has the solution 0.99914, z = 2Φ(z/3) − 1 only 0.
  const apart = (await ends(.3)).map((z) => Math.abs(Math.abs(z) - .99914));
  const merged = (await ends(3)).map(Math.abs);
  // A pick flips with probability 4e-4 below; above, 100 steps leave 100^(−1 + 0.27) of the start.
  return report(
    "two points: apart below the merging bandwidth, together above it",
    Math.max(...apart, ...merged),
    .05,
  );
}

/**
 * Exact smoothing of two points at `±1`, with 4,000 quantiles of a normal law for the draws: samples end where
 * `z = 2Φ(z/β) − 1`, that is at ±0.99914 for `β = 0.3`, at ±0.9399 for 0.5, and at 0 for 1.2.
 *
 * Near the merging bandwidth the end is approached slowly; at 1.2 what is left of the start after 800 steps is below 0.15.
 *
 * @returns The largest distance of an end from that, that of the last bandwidth less 0.15, and 0.01.
 */
export async function exactSmoothing(): Promise<Report> {
  const draws = normalQuantiles(4000);
  let worst = 0;
  for (const [bandwidth, end, slack] of [[.3, .99914, 0], [.5, .9399, 0], [1.2, 0, .15]]) {
    const { x } = await sample(smoothedPair(draws, bandwidth), {
      grid: uniformTGrid(800),
      init: [-2, -.5, 1],
      count: 3,
      output: "tensor",
    });
    for (const z of x) worst = Math.max(worst, Math.abs(Math.abs(z) - end) - slack);
  }
  return report("two points, 4,000 quantiles as draws: at z = 2Φ(z/β) − 1", worst, .01);
}

/** The optimal denoiser of two points at ±1, which is a hyperbolic tangent, smoothed by given draws. */
function smoothedPair(draws: Float64Array, bandwidth: number): Denoiser<Float64Array> {
  return {
    label: "two points, smoothed",
    references: [],
    shape: [1],
    space: arraySpace,
    mean: () => Float64Array.of(0),
    denoise: (x, sigma) => {
      const mean = x.map((v, row) => {
        const level = typeof sigma === "number" ? sigma : sigma[row];
        const scale = bandwidth * (1 + level);
        let sum = 0;
        for (const draw of draws) sum += Math.tanh((v + scale * draw) / (level * level));
        return sum / draws.length;
      });
      return Promise.resolve({ mean });
    },
  };
}

/** The middles of so many equally likely parts of the standard normal law, by adding up its density. */
function normalQuantiles(count: number): Float64Array {
  const quantiles = new Float64Array(count), step = 1e-4;
  for (let i = 0, at = -8, mass = 0; i < count; at += step) {
    mass += step * Math.exp(-((at + step / 2) ** 2) / 2) / Math.sqrt(2 * Math.PI);
    while (i < count && mass >= (i + .5) / count) quantiles[i++] = at + step;
  }
  return quantiles;
}

/**
 * Gumbel draws, as many as one likes: samples end at fixed points of mean shift, the modes of the Gaussian kernel density
 * of variance `s`. A draw picks item `i` with probability `softmax_i(−‖x − x_i‖²/2s)`.
 *
 * On points that are apart, where mean shift contracts fast.
 *
 * @returns The largest distance of four samples with 1,000 draws from a mode, and 0.02.
 */
export async function gumbelModes(): Promise<Report> {
  const variance = .3, corners = [[-1.5, 0], [1.5, 0], [0, 1.8], [0, -3.3]];
  const data = Float32Array.from(corners.flat());
  const points = new Dataset({ data, shape: [2], name: "four points" });
  const options = { bandwidth: variance, draws: 1000, drawKind: "gumbel" } as const;
  const ends = await endsOf(points, options, 60, 4);
  const modes = corners.map((start) => meanShift(corners, start, variance));
  const away = [0, 2, 4, 6].map((at) =>
    Math.min(...modes.map((mode) => Math.hypot(ends[at] - mode[0], ends[at + 1] - mode[1])))
  );
  return report(
    "Gumbel draws: samples at modes of the kernel density (distance)",
    Math.max(...away),
    .02,
  );
}

/** Mean shift from a point to its mode. */
function meanShift(points: readonly number[][], start: number[], variance: number): number[] {
  let at = start;
  for (let i = 0; i < 200; i++) {
    const weights = points.map(([x, y]) =>
      Math.exp(-((at[0] - x) ** 2 + (at[1] - y) ** 2) / (2 * variance))
    );
    const total = weights.reduce((sum, w) => sum + w);
    at = [0, 1].map((c) => points.reduce((sum, p, i) => sum + weights[i] / total * p[c], 0));
  }
  return at;
}

/**
 * The rule `β* = g/√(2π)` for the bandwidth, on a circle of 16 points at gaps `g`: samples are nearer to the circle
 * in the 2-Wasserstein distance than with no smoothing, with half and with twice as much.
 *
 * @returns The distance at `β*` over the smallest of the others, in the mean over two seeds, and 1.
 */
export async function bandwidthRule(): Promise<Report> {
  const ring = circle(16), dense = circle(400).data;
  const rule = 2 * Math.sin(Math.PI / 16) / Math.sqrt(2 * Math.PI);
  const [at, ...others] = await Promise.all([1, 0, .5, 2].map(async (factor) => {
    let sum = 0;
    for (const seed of [1, 2]) {
      const x = await endsOf(ring, { bandwidth: factor * rule, draws: 4, seed }, 100, 400, seed);
      sum += (await wasserstein2(x, dense, { dimension: 2 })).distance;
    }
    return sum;
  }));
  return report(
    "circle: distance at β* = g/√(2π) over that at 0, β*/2 and 2β*",
    at / Math.min(...others),
    1,
  );
}
