/**
 * Statements: how a linear denoiser learns, mode by mode.
 *
 * @module
 */
import { gaussianLaw } from "../denoisers/gaussian/gaussian_law.ts";
import { startNoise } from "../base/random.ts";
import { report } from "./statement.ts";
import type { Report } from "./statement.ts";

const D = 4;
const VARIANCES = [4, 1, 0.25, 0.01];
const STEPS = 200;

/** A row-major `d × d` matrix. */
type Matrix = Float64Array;

/** A covariance of {@linkcode VARIANCES} in oblique directions, and those directions as rows. */
function obliqueCovariance(): { covariance: Matrix; variances: Float64Array; basis: Matrix } {
  const u = startNoise(65, 0, 1, D);
  const beta = 2 / u.reduce((sum, v) => sum + v * v, 0);
  const reflection = Float64Array.from(
    { length: D * D },
    (_, at) => (Math.floor(at / D) === at % D ? 1 : 0) - beta * u[Math.floor(at / D)] * u[at % D],
  );
  const covariance = product(scaledRows(VARIANCES, reflection, true), reflection);
  for (let i = 0; i < D; i++) {
    for (let j = 0; j < i; j++) covariance[i * D + j] = covariance[j * D + i];
  }
  const { variances, basis } = gaussianLaw(new Float64Array(D), covariance);
  return { covariance, variances, basis: basis! };
}

function product(a: Matrix, b: Matrix): Matrix {
  return Float64Array.from({ length: D * D }, (_, at) => {
    const i = Math.floor(at / D), j = at % D;
    let sum = 0;
    for (let k = 0; k < D; k++) sum += a[i * D + k] * b[k * D + j];
    return sum;
  });
}

/** Rows scaled one by one; of the transposed matrix, columns. */
function scaledRows(scales: ArrayLike<number>, a: Matrix, columns = false): Matrix {
  return a.map((v, at) => scales[columns ? at % D : Math.floor(at / D)] * v);
}

/** `Uᵀ diag(f(λ)) U`, or `A Uᵀ diag(f(λ)) U`. */
function spectral(
  { variances, basis }: { variances: Float64Array; basis: Matrix },
  f: (variance: number) => number,
  a?: Matrix,
): Matrix {
  const transposed = basis.map((_, at) => basis[(at % D) * D + Math.floor(at / D)]);
  const left = a ? product(a, transposed) : transposed;
  return product(left, scaledRows(variances.map(f), basis));
}

/** The largest difference of gradient descent from its closed form, for one noise level and step. */
function largestError(
  sigma: number,
  /** The denoiser as a function of what is learned, `D = skip + out · in · F`: plain is 0 and 1. */
  { skip, factor, weight }: { skip: number; factor: number; weight: number },
): number {
  const law = obliqueCovariance();
  const noisy = law.covariance.map((v, at) => v + (at % (D + 1) === 0 ? sigma ** 2 : 0));
  // E‖(skip + factor F)(x₀+σε) − x₀‖² weight: the gradient in F is 2 weight factor [(skip + factor F)(Σ+σ²I) − Σ].
  const scale = 2 * weight * factor;
  const rate = 0.9 / (weight * factor ** 2 * (law.variances[0] + sigma ** 2));
  const target = spectral(law, (v) => (v / (v + sigma ** 2) - skip) / factor);
  const start = startNoise(66, 0, D, D);
  const off = start.map((v, at) => v - target[at]);
  let learned = start, worst = 0;
  for (let n = 1; n <= STEPS; n++) {
    const denoiser = learned.map((v, at) => factor * v + (at % (D + 1) === 0 ? skip : 0));
    const image = product(denoiser, noisy);
    learned = learned.map((v, at) => v - rate * scale * (image[at] - law.covariance[at]));
    const kept = (v: number) => (1 - rate * scale * factor * (v + sigma ** 2)) ** n;
    const left = spectral(law, kept, off);
    learned.forEach((v, at) => worst = Math.max(worst, Math.abs(v - target[at] - left[at])));
  }
  return worst;
}

/**
 * A linear denoiser `D = Wx` learned by gradient descent on `E‖W(x₀+σε) − x₀‖²` approaches the Wiener filter at a rate
 * of its own in each mode:
 *
 * ```text
 * W_n = W* + (W_0 − W*) U diag((1 − 2η(λ+σ²))ⁿ) Uᵀ,   W* = Σ(Σ+σ²I)⁻¹
 * ```
 *
 * So directions of large variance are learned first, and the more so the smaller the noise.
 *
 * @returns The largest difference of 200 steps from that, at σ = 0.1, 1 and 5, and 1e-10.
 */
export function linearTraining(): Report {
  const errors = [0.1, 1, 5].map((sigma) => largestError(sigma, { skip: 0, factor: 1, weight: 1 }));
  return report("a linear denoiser learns mode k at the rate λ_k + σ²", Math.max(...errors), 1e-10);
}

/**
 * With the preconditioning and the weight of EDM the same law holds for what is learned, `D = c_skip x + c_out F c_in x`,
 * with the rate `(λ+σ²)/(σ²+σ_d²)`: at large noise all modes are learned equally fast.
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364.
 *
 * @returns The largest difference of 200 steps from that, at σ = 0.1, 1 and 5 with `σ_d = 0.5`, and 1e-10.
 */
export function preconditionedTraining(): Report {
  const spread = 0.5;
  const errors = [0.1, 1, 5].map((sigma) => {
    const total = sigma ** 2 + spread ** 2;
    const out = sigma * spread / Math.sqrt(total);
    return largestError(sigma, {
      skip: spread ** 2 / total,
      factor: out / Math.sqrt(total),
      weight: 1 / out ** 2,
    });
  });
  return report(
    "preconditioned as in EDM, mode k learns at the rate (λ_k+σ²)/(σ²+σ_d²)",
    Math.max(...errors),
    1e-10,
  );
}
