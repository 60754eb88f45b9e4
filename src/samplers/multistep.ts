/**
 * Multistep samplers: one denoiser call per step, combined with those of earlier steps.
 *
 * @module
 */
import { optionsFor, type OptionTable, readOptions } from "../base/_options.ts";
import { MULTISTEP_OPTIONS } from "./_multistep_options.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../base/noise.ts";
import { Evaluator } from "./_evaluator.ts";
import { SAMPLER_OPTIONS } from "./sampler.ts";
import type { Sampler, SamplerOptions, SamplerStep } from "./sampler.ts";
import type { MultistepOptions } from "./_multistep_options.ts";

export type { MultistepOptions } from "./_multistep_options.ts";

/**
 * The formula of a multistep sampler. A step from `σ` to `σ'` has the length `h = ln(σ/σ')`.
 */
export interface MultistepFormula {
  /**
   * The weights of the outputs `D_i, D_{i−1}, …` of a step, as many as nodes and one more.
   *
   * @param h The length of the step in `−ln σ`.
   * @param nodes Where earlier outputs are, `rⱼ = (ℓⱼ − ℓ_i)/h < 0`, the latest first; fewer at the ends.
   */
  predict(h: number, nodes: readonly number[]): number[];
  /**
   * The weights of a second, corrected step, which also uses the output at the predicted state: `nodes` ends
   * with 1, and the last weight is that of the new output. Default: no correction.
   *
   * @param h The length of the step in `−ln σ`.
   * @param nodes Where the other outputs are; 1, the new one, is the last.
   */
  correct?(h: number, nodes: readonly number[]): number[];
}

/** A denoiser output that is known at a noise level. */
export interface KnownOutput<X> {
  /** The noise level. */
  readonly sigma: number;
  /** The output on the same trajectory. Not disposed. */
  readonly denoised: X;
}

/** Options of a multistep sampler's run. */
export interface MultistepRunOptions<X> extends SamplerOptions {
  /**
   * Outputs at noise levels above the start, the latest and lowest first: a run with them needs no steps
   * of lower order at its beginning. Default: none.
   */
  readonly history?: readonly KnownOutput<X>[];
}

/** A sampler that combines the outputs of several steps. */
export interface MultistepSampler extends Sampler {
  /**
   * Walks a state down a grid.
   *
   * @param denoiser The denoiser.
   * @param x The start state, at noise level `sigmas[0]`. Not disposed.
   * @param sigmas Strictly decreasing noise levels; only the last may be 0.
   * @param options A signal that cancels, and outputs known before.
   * @returns A generator of one record per step.
   * @throws {RangeError} If the noise levels do not fall, those of the history included.
   */
  run<X>(
    denoiser: Denoiser<X>,
    x: X,
    sigmas: readonly number[],
    options?: MultistepRunOptions<X>,
  ): AsyncGenerator<SamplerStep<X>, void, void>;
}

/** What a multistep sampler is, beside its formula. */
export interface MultistepDescription {
  /** Its name, as on the command line. */
  readonly name: string;
  /** Its order of convergence with a full history and without lower orders at the end. */
  readonly order: number;
  /** The most outputs that a step uses, the one at its start included. */
  readonly outputs: number;
  /** Where it comes from. */
  readonly references: readonly string[];
}

/**
 * A multistep sampler from its formula.
 *
 * ```text
 * x' = ρ x + Σⱼ cⱼ D_{i−j},   ρ = σ'/σ,   Σⱼ cⱼ = 1 − ρ
 * ```
 *
 * The first steps use the outputs there are; the last ones as many as steps remain. A step to `σ' = 0`
 * returns the last output, the limit of every such formula. With a corrector, the output at the predicted
 * state is kept: there is one call per step either way.
 *
 * @param description Name, order, history, references.
 * @param formula The weights.
 * @param options Orders at the end.
 * @returns The sampler.
 * @throws {TypeError} If there is no such option.
 *
 * @example DDIM is the formula that uses the latest output alone
 * ```ts
 * import { ddim, gaussianLaw, karrasGrid, multistep, sample } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const one = multistep({ name: "one", order: 1, outputs: 1, references: [] }, {
 *   predict: (h) => [-Math.expm1(-h)],
 * });
 * const { denoiser } = gaussianFlow(gaussianLaw([1, 2], 0.25));
 * const a = await sample(denoiser, { count: 1, sampler: one, grid: karrasGrid(8), output: "tensor" });
 * const b = await sample(denoiser, { count: 1, sampler: ddim(), grid: karrasGrid(8), output: "tensor" });
 * assert.ok(Math.abs(a.x[0] - b.x[0]) < 1e-13);
 * ```
 */
export function multistep(
  description: MultistepDescription,
  formula: MultistepFormula,
  options: MultistepOptions = {},
): MultistepSampler {
  const { name, order, references, outputs } = description;
  const settings = readOptions(`make the sampler ${name}`, options, MULTISTEP_OPTIONS);
  return {
    name,
    order,
    references,
    run: (denoiser, x, sigmas, runOptions) =>
      run(denoiser, x, sigmas, { formula, outputs, ...settings }, runOptions),
  };
}

const RUN_OPTIONS = { ...SAMPLER_OPTIONS, history: [] } satisfies OptionTable<
  MultistepRunOptions<never>
>;

interface Settings extends Required<MultistepOptions> {
  readonly formula: MultistepFormula;
  readonly outputs: number;
}

async function* run<X>(
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[],
  settings: Settings,
  options: MultistepRunOptions<X> = {},
): AsyncGenerator<SamplerStep<X>, void, void> {
  checkSigmas(sigmas);
  const { history } = readOptions("sample", options, RUN_OPTIONS);
  if (history.length > 0) {
    checkSigmas([...history.map(({ sigma }) => sigma).reverse(), ...sigmas]);
  }
  const { formula, outputs, lowerOrderFinal, correctLast } = settings;
  const evaluator = new Evaluator(denoiser, optionsFor(SAMPLER_OPTIONS, options));
  const steps = sigmas.length - 1;
  let x = start;
  let past = [...history];
  let current: KnownOutput<X> | undefined;
  try {
    for (let step = 1; step <= steps; step++) {
      const sigma = sigmas[step - 1], next = sigmas[step];
      current ??= { sigma, denoised: await evaluator.denoise(x, sigma) };
      const most = Math.min(outputs, lowerOrderFinal ? steps - step + 1 : outputs);
      const known: KnownOutput<X>[] = [current, ...past].slice(0, next === 0 ? 1 : most);
      let upcoming: KnownOutput<X> | undefined;
      let reached = evaluator.combine(...stepTo(x, next, known, formula.predict));
      if (formula.correct && next > 0 && (step < steps || correctLast)) {
        const predicted = reached;
        upcoming = { sigma: next, denoised: await evaluator.denoise(predicted, next) };
        reached = evaluator.combine(...stepTo(x, next, [...known, upcoming], formula.correct));
        evaluator.release(predicted);
      }
      evaluator.release(x);
      x = reached;
      const { denoised } = upcoming ?? current;
      yield {
        step,
        sigma: next,
        x,
        denoised,
        evaluations: evaluator.calls,
        calls: evaluator.calls,
      };
      past = [current, ...past];
      evaluator.release(...past.splice(outputs - 1).map(({ denoised }) => denoised));
      current = upcoming;
    }
  } finally {
    evaluator.releaseAll();
  }
}

/** Coefficients and states of one step; `known` begins with the output at the state itself. */
function stepTo<X>(
  x: X,
  next: number,
  known: readonly KnownOutput<X>[],
  weights: (h: number, nodes: readonly number[]) => number[],
): [number[], X[]] {
  const [{ sigma, denoised }, ...others] = known;
  if (next === 0) return [[1], [denoised]];
  const h = Math.log(sigma / next);
  const nodes = others.map((other) => Math.log(sigma / other.sigma) / h);
  return [[next / sigma, ...weights(h, nodes)], [x, ...known.map(({ denoised }) => denoised)]];
}
