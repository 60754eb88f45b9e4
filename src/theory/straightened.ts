/**
 * Coordinates in which the flow of a Gaussian stands still, a sampler in them, and what is true of it.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { sizeOf } from "../base/_shape.ts";
import { rowAxes } from "../denoisers/gaussian/gaussian_axes.ts";
import type { RowAxes } from "../denoisers/gaussian/gaussian_axes.ts";
import { flowFactor, gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import type { GaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { karrasGrid } from "../base/noise.ts";
import { startNoise } from "../base/random.ts";
import { oneStep } from "../samplers/_one_step.ts";
import type { Step } from "../samplers/_one_step.ts";
import { ddim } from "../samplers/ddim.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "../samplers/sampler.ts";
import { lastStep } from "./_flow_runs.ts";
import { THREE_MODES } from "./_toy_mixtures.ts";
import { gaussianFlow } from "./flows/gaussian_flow.ts";
import { mixtureFlow } from "./flows/mixture_flow.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/** Options of {@linkcode straightened}. */
export interface StraightenedOptions {
  /** The order, 1 or 2. Default 2. */
  readonly order?: 1 | 2;
}

const OPTIONS = { order: 2 } satisfies OptionTable<StraightenedOptions>;

/**
 * Euler's method, or the Adams–Bashforth method of order two, in coordinates that a Gaussian's flow leaves alone.
 *
 * ```text
 * y = c/√(λ+σ²),   ν(σ) = asinh(√λ/σ)/√λ,   dy/dν = Uᵀ(D − D_G),   c = Uᵀ(x − μ)
 * order 1: y' = y + Δν r      order 2: y' = y + Δν (r + ½ (Δν/Δν₋₁)(r − r₋₁))
 * ```
 *
 * in every direction of the law with its own `λ`; `λ = 0` gives `ν = 1/σ`, DDIM and DPM-Solver++. On data that are
 * this Gaussian one step of any length is exact; elsewhere only what is not Gaussian is left to be integrated.
 * A step to `σ' = 0` returns the last output. The first step is of order 1.
 *
 * At equal cost, order 1 halves the error of DDIM from a few steps on. Order 2 beats DPM-Solver++(2M) up to five times
 * in a few dimensions, and loses to it by a third and more on mixtures of images, by a factor of ten at five
 * steps, where it extrapolates from a flat start: so it is theory here, and none of the named samplers.
 *
 * @param law The Gaussian, for instance from `dataSpectrum()`.
 * @param options The order.
 * @returns The sampler.
 * @throws {RangeError} If the order is not 1 or 2.
 * @throws {TypeError} If there is no such option.
 *
 * @example One step on Gaussian data
 * ```ts
 * import { gaussianLaw } from "@closedform/diffusion";
 * import { gaussianFlow, straightened } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const law = gaussianLaw([1], 3), { denoiser, transport } = gaussianFlow(law);
 * const start = Float64Array.of(50);
 * for await (const { x } of straightened(law).run(denoiser, start, [80, 0.1])) {
 *   assert.ok(Math.abs(x[0] - (await transport(start, 80, 0.1))[0]) < 1e-14);
 * }
 * ```
 */
export function straightened(law: GaussianLaw, options: StraightenedOptions = {}): Sampler {
  const { order } = readOptions("make the straightened sampler", options, OPTIONS);
  if (order !== 1 && order !== 2) {
    throw new RangeError(
      `Cannot make the straightened sampler: order is ${order}, wanted 1 or 2`,
    );
  }
  return {
    name: `straightened-${order}`,
    order,
    references: [],
    run: (denoiser, x, sigmas, runOptions) => run(denoiser, x, sigmas, { law, order }, runOptions),
  };
}

const LAW = gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0]);

/**
 * On Gaussian data a single straightened step of any length is exact.
 *
 * @returns The largest difference from the closed form over steps from 80 to 5, 0.5 and 0.002, and 1e-12.
 */
export async function straightenedExact(): Promise<Report> {
  const { denoiser, transport } = gaussianFlow(LAW);
  const x = startNoise(72, 0, 4, 4).map((e) => 80 * e);
  let worst = 0;
  for (const order of [1, 2] as const) {
    for (const end of [5, 0.5, 0.002]) {
      const { x: ours } = await lastStep(straightened(LAW, { order }), denoiser, x, [80, end]);
      const exact = await transport(x, 80, end);
      ours.forEach((v, i) => worst = Math.max(worst, Math.abs(v - exact[i])));
    }
  }
  return report("one straightened step is exact on Gaussian data", worst, 1e-12);
}

/**
 * Without variances straightened steps of order 1 are those of DDIM: the coordinates are then `x/σ` and `1/σ`.
 *
 * @returns The largest difference over a run on a mixture of three modes, and 1e-12.
 */
export async function straightenedIsDdim(): Promise<Report> {
  const { denoiser } = mixtureFlow(THREE_MODES), { sigmas } = karrasGrid(10);
  const x = Float64Array.of(48, -64), flat = gaussianLaw([0.3, -2], 0);
  const { x: ours } = await lastStep(straightened(flat, { order: 1 }), denoiser, x, sigmas);
  const { x: theirs } = await lastStep(ddim(), denoiser, x, sigmas);
  const worst = Math.max(...ours.map((v, c) => Math.abs(v - theirs[c])));
  return report("straightened steps without variances are those of DDIM", worst, 1e-12);
}

/** The time of a direction, but for the factor `1/√λ`; it grows as `σ` falls. */
function time(variance: number, sigma: number): number {
  const spread = Math.sqrt(variance);
  return spread === 0 ? 1 / sigma : Math.asinh(spread / sigma) / spread;
}

/** A point of a run: state and output as numbers. */
interface Node {
  readonly sigma: number;
  readonly x: ArrayLike<number>;
  readonly denoised: ArrayLike<number>;
}

async function* run<X>(
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  { law, order }: { readonly law: GaussianLaw; readonly order: number },
  options?: SamplerOptions,
): AsyncGenerator<SamplerStep<X>, void, void> {
  const { space, shape } = denoiser;
  if (sizeOf(shape) !== law.mean.length) {
    throw new TypeError(
      `Cannot take straightened steps: the law has ${law.mean.length} numbers, wanted those of shape [${shape}]`,
    );
  }
  using axes = await rowAxes(law);
  let before: Node | undefined;
  const take: Step<X> = async (evaluator, x, sigma, next) => {
    const denoised = await evaluator.denoise(x, sigma);
    if (next === 0) return { reached: evaluator.combine([1], [denoised]), denoised };
    const [from, output] = await Promise.all([space.values(x), space.values(denoised)]);
    const node = { sigma, x: from, denoised: output };
    const rows = await advance(axes, law, next, node, order === 2 ? before : undefined);
    before = node;
    const reached = evaluator.own(space.from(rows, [rows.length / law.mean.length, ...shape]));
    return { reached, denoised };
  };
  yield* oneStep(take, denoiser, start, sigmas, options);
}

/**
 * The states at the next level: `μ + U (f c + √(λ+σ'²) Δν r̄)`, with `r = Uᵀ(D − μ) − t c` at this node and the one before.
 */
async function advance(
  axes: RowAxes,
  { mean }: GaussianLaw,
  next: number,
  now: Node,
  before?: Node,
): Promise<Float64Array> {
  const weight = (variance: number) =>
    Math.sqrt(variance + next * next) * (time(variance, next) - time(variance, now.sigma));
  const share = (variance: number) => {
    if (!before) return 0;
    const [last, at, to] = [before.sigma, now.sigma, next].map((s) => time(variance, s));
    return (to - at) / (at - last) / 2;
  };
  const wiener = (variance: number, { sigma }: Node) => variance / (variance + sigma * sigma);
  const terms: Promise<Float64Array>[] = [
    axes.scale(
      now.x,
      (_, v) => flowFactor(v, now.sigma, next) - weight(v) * (1 + share(v)) * wiener(v, now),
    ),
    axes.scale(now.denoised, (_, v) => weight(v) * (1 + share(v))),
  ];
  if (before) {
    terms.push(
      axes.scale(before.x, (_, v) => weight(v) * share(v) * wiener(v, before)),
      axes.scale(before.denoised, (_, v) => -weight(v) * share(v)),
    );
  }
  const parts = await Promise.all(terms);
  // Each part holds the mean once.
  return parts[0].map((_, i) =>
    parts.reduce((sum, part) => sum + part[i], 0) - (parts.length - 1) * mean[i % mean.length]
  );
}
