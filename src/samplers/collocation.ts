/**
 * Spectral collocation: the denoiser is interpolated in time, and all times of a window are solved for together.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkWhole } from "../base/_checks.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { checkSigmas } from "../base/noise.ts";
import { InFlightRun } from "./collocation/in_flight.ts";
import { checkSmooth } from "./_smooth.ts";
import { PublishedRun } from "./collocation/published.ts";
import type { CollocationConvergence, CollocationStep } from "./collocation/record.ts";
import { CollocationRun } from "./collocation/rounds.ts";
import { collocationRule } from "./collocation/weights.ts";
import type { NodeFamily } from "./collocation/weights.ts";
import type { Sampler, SamplerOptions } from "./sampler.ts";

export type { CollocationConvergence, CollocationStep, NodeFamily };

/** How {@linkcode collocation} goes through the noise levels. */
export type CollocationMode = "adaptive" | "static" | "published";

/** Options of {@linkcode collocation}. */
export interface CollocationOptions {
  /**
   * - `"adaptive"`: from the first to the last positive level of the grid, in windows that every sample
   *   chooses for itself by the tolerance; levels between them are not used. The default.
   * - `"static"`: the same sweeps in windows that are the intervals of the grid; none is rejected.
   *   Intervals should not be longer than 1.5 in `ln σ`.
   * - `"published"`: the scheme of the paper in windows that are the intervals of the grid: Chebyshev
   *   nodes, Picard's iteration from a constant, a fixed number of sweeps.
   */
  readonly mode?: CollocationMode;
  /**
   * Error per window, relative to the size of the data. At most 1e-3: above it, samples may end in the wrong
   * mode. Raised to what the precision of the states allows: 2e-7 on float32 tensors. Default 1e-6,
   * in static mode 1e-5.
   */
  readonly tolerance?: number;
  /**
   * Static mode: windows of a sample that are solved for at the same time, each from what the one before it has come to
   * so far, 1 to 8. More than one saves calls and costs evaluations. Experimental. Default 1.
   */
  readonly windowsInFlight?: number;
  /** Nodes per window, `K`, 2 to 16. Default 6; 8 for tolerances below 1e-6 and in static mode. */
  readonly nodes?: number;
  /** Where the nodes lie. Default `"gauss"`, in published mode `"chebyshev"`. */
  readonly family?: NodeFamily;
  /** Published mode: sweeps per window, `S`. Default: as many as nodes. */
  readonly sweeps?: number;
  /** Published mode: whether the linear part of the flow is solved exactly, or swept too. Default true. */
  readonly exactLinear?: boolean;
  /** Whether sweeps use the quasi-Newton step, or Picard's. Default true. Not in published mode. */
  readonly quasiNewton?: boolean;
  /**
   * The size of the data, `√E‖x₀‖²`, which errors are relative to. Default: for each sample, the
   * largest root mean square of its denoiser values in a window so far.
   */
  readonly scale?: number;
  /** Unit roundoff of the denoiser. Default: that of the states, 2⁻²⁴ for float32, 2⁻⁵³ for float64. */
  readonly roundoff?: number;
  /** Whether windows are accepted where only rounding noise is left, and not shortened by it. Default true. */
  readonly guard?: boolean;
  /** Whether the tolerance is raised to what the roundoff allows. Default true. */
  readonly clampTolerance?: boolean;
  /** The largest number of windows of a sample, rejected ones included. Default 500. */
  readonly maxWindows?: number;
}

/** The collocation sampler; its steps tell how well it converged. */
export interface CollocationSampler extends Sampler {
  /** See {@linkcode Sampler.run}; a step is a round in which a sample closed a window, or an interval of the grid. */
  run<X>(
    denoiser: Denoiser<X>,
    x: X,
    sigmas: readonly number[],
    options?: SamplerOptions,
  ): AsyncGenerator<CollocationStep<X>, void, void>;
}

const REFERENCES = [
  "K. Gatmiry, S. Chen, A. Salim (2026), High-accuracy and dimension-free sampling with diffusions, arXiv:2601.10708",
  "Y. T. Lee, Z. Song, S. Vempala (2018), Algorithmic theory of ODEs and sampling from well-conditioned logconcave densities, arXiv:1812.06243",
];

/** The largest tolerance that a caller may ask for. */
const LARGEST_TOLERANCE = 1e-3;
/** What the tolerance is raised to, by the roundoff of the denoiser: float32; tf32 and float16; bfloat16. */
const LEAST_TOLERANCES = [[2 ** -8, 4e-3], [2 ** -11, 2e-4], [2 ** -24, 2e-7]] as const;

/**
 * Collocation of the probability flow: to a tolerance, in few sequential denoiser calls.
 *
 * In `ℓ = −ln σ` the flow is `dx/dℓ = D − x`. Its linear part is solved exactly, and in a window of
 * length `h` the denoiser is replaced by its interpolant at `K` nodes `tᵢ = h ξᵢ`:
 *
 * ```text
 * Xᵢ = e^{−tᵢ} x + Σⱼ Wᵢⱼ D(Xⱼ, σⱼ),   Wᵢⱼ = ∫₀^{tᵢ} e^{−(tᵢ−u)} lⱼ(u/h) du,   σⱼ = σ e^{−tⱼ}
 * ```
 *
 * with `lⱼ` the Lagrange polynomials of the nodes. These equations are solved by sweeps, each **one**
 * denoiser call for all nodes of all samples, with a noise level per row:
 *
 * ```text
 * X ← (I − WC)⁻¹ (Ex + W (D − CX)),   C = diag(cⱼ),   cⱼ = ⟨ΔDⱼ, ΔXⱼ⟩/‖ΔXⱼ‖²
 * ```
 *
 * a Newton step in which a secant scalar stands for the Jacobian of `D`; `C = 0` is Picard's
 * iteration. At Gauss–Legendre nodes the end of the window is reached with order `2K`. A window
 * opens with the denoiser extrapolated from the one before; its length follows from the last
 * Legendre coefficients of the denoiser in it.
 *
 * Windows are a sample's own: a sample depends on no other in its batch. If the grid ends at 0, the
 * last step gives the denoised estimate at the last positive level, one more evaluation.
 *
 * The published scheme (`mode: "published"`) uses Chebyshev nodes, which reach order `K` (`K + 1` for odd `K`),
 * and `S` sweeps from a constant, each of which adds one order.
 *
 * References: K. Gatmiry, S. Chen, A. Salim (2026), arXiv:2601.10708, for the flow of diffusion models;
 * Y. T. Lee, Z. Song, S. Vempala (2018), arXiv:1812.06243, for the scheme. Gauss nodes, the quasi-Newton
 * step, the exact linear part and the choice of windows are this package's.
 *
 * @param options Mode, tolerance, nodes.
 * @returns The sampler.
 * @throws {RangeError} If an option is out of range.
 * @throws {TypeError} If there is no such option.
 *
 * @example Gaussian data of variance 1: the exact flow is x ∝ √(1 + σ²)
 * ```ts
 * import { collocation, gaussianLaw, logSnrGrid } from "@closedform/diffusion";
 * import { gaussianFlow } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const { denoiser } = gaussianFlow(gaussianLaw([0], 1));
 * const { sigmas } = logSnrGrid(1, { sigmaMax: 40, sigmaMin: 0.005 });
 * const start = Float64Array.of(30);
 * for await (const { x, sigma, convergence } of collocation({ tolerance: 1e-8 }).run(denoiser, start, sigmas)) {
 *   const exact = 30 * Math.sqrt((1 + sigma ** 2) / (1 + 40 ** 2));
 *   assert.ok(Math.abs(x[0] - exact) < 1e-7);
 *   assert.ok(convergence.converged[0]);
 * }
 * ```
 */
export function collocation(options: CollocationOptions = {}): CollocationSampler {
  const settings = settingsOf(options);
  const { mode } = settings;
  return {
    name: mode === "adaptive" ? "collocation" : `collocation-${mode}`,
    order: orderOf(settings),
    references: REFERENCES,
    run(denoiser, x, sigmas, runOptions = {}) {
      checkSigmas(sigmas);
      if (mode === "adaptive") checkSmooth(denoiser);
      if (mode === "published") {
        return new PublishedRun(denoiser, x, settings, runOptions).steps(sigmas);
      }
      const positive = sigmas.filter((sigma) => sigma > 0);
      const isFloat32 = denoiser.space.numbers(0) instanceof Float32Array;
      const roundoff = settings.roundoff ?? (isFloat32 ? 2 ** -24 : 2 ** -53);
      const least = settings.clampTolerance ? leastTolerance(roundoff) : 0;
      const lengths = positive.slice(1).map((sigma, i) => Math.log(positive[i] / sigma));
      const shared = { ...settings, roundoff, tolerance: Math.max(settings.tolerance, least) };
      const toZero = sigmas[sigmas.length - 1] === 0;
      if (mode === "adaptive" || settings.windowsInFlight === 1) {
        const ends = [positive[0], positive[positive.length - 1]] as const;
        const row = { ...shared, ...(mode === "static" && { lengths }) };
        return new CollocationRun(denoiser, x, ends, row, runOptions).steps(toZero);
      }
      const inFlight = { ...shared, lengths };
      return new InFlightRun(denoiser, x, positive, inFlight, runOptions).steps(toZero);
    },
  };
}

const OPTIONS = {
  mode: "adaptive",
  tolerance: undefined,
  windowsInFlight: 1,
  nodes: undefined,
  family: undefined,
  sweeps: undefined,
  exactLinear: true,
  quasiNewton: true,
  scale: undefined,
  roundoff: undefined,
  guard: true,
  clampTolerance: true,
  maxWindows: 500,
} satisfies OptionTable<CollocationOptions>;

function settingsOf(options: CollocationOptions) {
  const settings = readOptions("make a collocation sampler", options, OPTIONS);
  const { mode } = settings;
  if (!["adaptive", "static", "published"].includes(mode)) {
    throw new RangeError(
      `Cannot make a collocation sampler: mode is ${mode}, wanted adaptive, static or published`,
    );
  }
  const { maxWindows, scale, roundoff, windowsInFlight } = settings;
  const { tolerance = mode === "static" ? 1e-5 : 1e-6 } = settings;
  const { nodes = mode === "static" || tolerance < 1e-6 ? 8 : 6 } = settings;
  const { sweeps = nodes, family = mode === "published" ? "chebyshev" : "gauss" } = settings;
  if (!["gauss", "chebyshev"].includes(family)) {
    throw new RangeError(
      `Cannot make a collocation sampler: family is ${family}, wanted gauss or chebyshev`,
    );
  }
  checkWhole("make a collocation sampler", "nodes", nodes, 2, 16);
  checkWhole("make a collocation sampler", "sweeps", sweeps, 1, 1000);
  checkWhole("make a collocation sampler", "windowsInFlight", windowsInFlight, 1, 8);
  if (windowsInFlight > 1 && mode !== "static") {
    throw new RangeError(
      `Cannot make a collocation sampler: windowsInFlight is ${windowsInFlight} in ${mode} mode, wanted static mode`,
    );
  }
  checkWhole("make a collocation sampler", "maxWindows", maxWindows, 1, Infinity);
  checkPositive("tolerance", tolerance, LARGEST_TOLERANCE);
  if (scale !== undefined) checkPositive("scale", scale, Number.MAX_VALUE);
  if (roundoff !== undefined) checkPositive("roundoff", roundoff, 0.5);
  return {
    mode,
    rule: collocationRule(family, nodes),
    tolerance,
    sweeps,
    windowsInFlight,
    maxWindows,
    scale,
    roundoff,
    exactLinear: settings.exactLinear,
    quasiNewton: settings.quasiNewton,
    guard: settings.guard,
    clampTolerance: settings.clampTolerance,
  };
}

/** The order in the length of the windows, with sweeps to convergence or as many as there are. */
function orderOf({ mode, rule, sweeps, exactLinear }: ReturnType<typeof settingsOf>): number {
  const { family, count } = rule;
  const converged = family === "gauss" ? 2 * count : count + count % 2;
  if (mode !== "published") return converged;
  return Math.min(converged, exactLinear ? sweeps + 1 : sweeps);
}

function leastTolerance(roundoff: number): number {
  for (const [u, tolerance] of LEAST_TOLERANCES) if (roundoff >= u) return tolerance;
  return 16 * roundoff;
}

function checkPositive(name: string, value: number, most: number): void {
  if (!(value > 0 && value <= most)) {
    throw new RangeError(
      `Cannot make a collocation sampler: ${name} is ${value}, wanted a number > 0 and at most ${most}`,
    );
  }
}
