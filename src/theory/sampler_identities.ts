/**
 * Statements: samplers that are the same under different names.
 *
 * @module
 */
import { gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { mixtureLaw } from "../denoisers/gaussian/mixture_law.ts";
import { ddim } from "../samplers/ddim.ts";
import { dpmV3 } from "../samplers/dpm_v3.ts";
import { gaussianStatistics } from "../samplers/dpm_v3/statistics.ts";
import { dpmpp1 } from "../samplers/dpmpp_1.ts";
import { dpmpp2m } from "../samplers/dpmpp_2m.ts";
import { dpmpp3m } from "../samplers/dpmpp_3m.ts";
import { euler } from "../samplers/euler.ts";
import { exponentialAdams } from "../samplers/exponential_adams.ts";
import { picard } from "../samplers/picard.ts";
import type { Sampler } from "../samplers/sampler.ts";
import { unipc } from "../samplers/unipc.ts";
import type { ExactFlow } from "./flows/exact_flow.ts";
import { gaussianFlow } from "./flows/gaussian_flow.ts";
import { mixtureFlow } from "./flows/mixture_flow.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

/** Levels of unequal ratio. */
const SIGMAS = [5, 4.2, 3, 2.5, 1.4, 1, 0.9, 0.5];

const FLOW: ExactFlow = mixtureFlow(
  mixtureLaw([0.5, 0.3, 0.2], [
    gaussianLaw([1, 0.5], 0.09),
    gaussianLaw([-1, 0.2], 0.04),
    gaussianLaw([0.1, -1.2], 0.16),
  ]),
);

async function statesOf(sampler: Sampler, sigmas: readonly number[]): Promise<Float64Array> {
  const states: number[] = [];
  for await (const { x } of sampler.run(FLOW.denoiser, FLOW.draw(8, sigmas[0]), sigmas)) {
    states.push(...x);
  }
  return Float64Array.from(states);
}

function apart(x: Float64Array, y: Float64Array): number {
  return x.reduce((most, v, i) => Math.max(most, Math.abs(v - y[i])), 0);
}

/**
 * Methods of the literature that are one method: their states agree on every step of a grid of unequal steps.
 *
 * ```text
 * Euler = DDIM = DPM-Solver++(1) = exponential AB-1 = UniP-1
 * UniP-2 with B₂ = DPM-Solver++(2M)
 * exponential AB-3 = UniP-3, in the steps of order three
 * UniPC-3 with B₁ = UniPC-3 with B₂, likewise
 * ```
 *
 * @returns The largest difference of states, and 1e-12.
 */
export async function samplerIdentities(): Promise<Report> {
  const predictor = { corrector: false };
  const pairs: [Sampler, Sampler][] = [
    [euler(), ddim()],
    [dpmpp1(), ddim()],
    [exponentialAdams(1), ddim()],
    [unipc({ order: 1, ...predictor }), ddim()],
    [unipc({ order: 2, ...predictor }), dpmpp2m()],
    [unipc({ ...predictor }), dpmpp3m({ form: "taylor" })],
  ];
  let worst = 0;
  for (const [a, b] of pairs) {
    worst = Math.max(worst, apart(await statesOf(a, SIGMAS), await statesOf(b, SIGMAS)));
  }
  // B matters in the shortcuts of the first and the last steps only; with these outputs known there are none.
  const history = await outputsAbove();
  const [b1, b2] = [unipc({ b: "B1", lowerOrderFinal: false }), unipc({ lowerOrderFinal: false })];
  const states = await Promise.all([b1, b2].map(async (sampler) => {
    const start = FLOW.draw(8, SIGMAS[0]);
    let end = start;
    for await (const { x } of sampler.run(FLOW.denoiser, start, SIGMAS, { history })) end = x;
    return end;
  }));
  worst = Math.max(worst, apart(states[0], states[1]));
  return report("samplers that are one under different names (largest difference)", worst, 1e-12);
}

async function outputsAbove() {
  const start = FLOW.draw(8, SIGMAS[0]);
  return await Promise.all([6, 7.5].map(async (sigma) => {
    const x = await FLOW.transport(start, SIGMAS[0], sigma);
    return { sigma, denoised: (await FLOW.denoiser.denoise(x, sigma)).mean };
  }));
}

/**
 * Picard iteration on windows of the grid, iterated until nothing changes, is DDIM on that grid: parallel
 * sampling converges to the solution of the grid, not of the flow.
 *
 * @returns The largest difference of their end states over windows of 1, 3 and 10 points, and 1e-12.
 */
export async function picardIsDdim(): Promise<Report> {
  const end = async (sampler: Sampler) => (await statesOf(sampler, SIGMAS)).slice(-16);
  const expected = await end(ddim());
  let worst = 0;
  for (const parallel of [1, 3, 10]) {
    worst = Math.max(worst, apart(await end(picard({ parallel, tolerance: 0 })), expected));
  }
  return report("Picard iteration of a grid is DDIM on it (largest difference)", worst, 1e-12);
}

/**
 * With the tables of a Gaussian, one step of DPM-Solver-v3 from σ = 80 to 0.002 is exact, up to a quadrature
 * error that falls as the square of the width of its tables.
 *
 * @returns The largest error with 4000 intervals, and 1e-8.
 */
export async function fittedGaussianInOneStep(): Promise<Report> {
  const law = gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0.01]);
  const flow = gaussianFlow(law);
  const start = flow.draw(8, 80);
  const exact = await flow.transport(start, 80, 0.002);
  const sampler = dpmV3({ statistics: gaussianStatistics(law, { intervals: 4000 }) });
  let worst = Infinity;
  for await (const { x } of sampler.run(flow.denoiser, start, [80, 0.002])) worst = apart(x, exact);
  return report("DPM-Solver-v3 fitted to a Gaussian takes it in one step (error)", worst, 1e-8);
}
