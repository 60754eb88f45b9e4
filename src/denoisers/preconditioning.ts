/**
 * Preconditioning: what a network sees and what its output means, so that both are of unit size at every noise level.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../base/_options.ts";
import { checkPositive } from "../base/_checks.ts";
import { crc32 } from "../base/_crc32.ts";
import { checkRow, finiteRow } from "./gaussian/gaussian_law.ts";
import type { GaussianLaw } from "./gaussian/gaussian_law.ts";

const ACTION = "precondition a network";

/** The scales of a denoiser `D(x, σ) = c_skip x + c_out F(c_in x, c_noise)` at one noise level. */
export interface Scales {
  /** What the state itself counts, `c_skip`. */
  readonly skip: number;
  /** What the network's output counts, `c_out`. */
  readonly out: number;
  /** What the state is multiplied by before the network sees it, `c_in`. */
  readonly in: number;
  /** What the network is told of the noise level, `c_noise`. */
  readonly noise: number;
}

/** What a preconditioning is made from, for files. */
export type PreconditioningConfig =
  | { readonly kind: "edm"; readonly sigmaData: number }
  | { readonly kind: "plain"; readonly sigmaMin: number; readonly sigmaMax: number }
  | { readonly kind: "noise" }
  | {
    readonly kind: "control-variate";
    /** What is left of the preconditioning that the network had otherwise. */
    readonly base: PreconditioningConfig;
    /** A checksum of the law, whose numbers files hold beside the weights. */
    readonly law: string;
  };

/** How a network `F` becomes a denoiser, and how its errors are weighed in training. */
export interface Preconditioning {
  /** What makes it again. */
  readonly config: PreconditioningConfig;
  /** The scales at a noise level `σ > 0`. */
  scales(sigma: number): Scales;
  /** The weight `λ(σ)` of `‖D − x₀‖²` in the loss. */
  weight(sigma: number): number;
  /** A law whose denoiser is added: `D = c_skip x + c_out F + D_G(x, σ)`. Default: none. */
  readonly law?: GaussianLaw;
}

/** A quarter of `ln σ`: about -1.6 to 1.1 over the levels in use. */
function quarterLog(sigma: number): number {
  return Math.log(sigma) / 4;
}

/**
 * The preconditioning of EDM: input and training target of the network have unit variance at every noise level, if
 * the data have the variance `σ_d²`.
 *
 * ```text
 * c_skip = σ_d²/(σ²+σ_d²),   c_out = σσ_d/√(σ²+σ_d²),   c_in = 1/√(σ²+σ_d²),   c_noise = ¼ ln σ,   λ = 1/c_out²
 * ```
 *
 * Reference: T. Karras, M. Aittala, T. Aila, S. Laine (2022), arXiv:2206.00364.
 *
 * @param sigmaData Standard deviation of the data, `σ_d`, in data units. Default 0.5.
 * @returns The preconditioning.
 * @throws {RangeError} If `sigmaData` is not a finite number > 0.
 *
 * @example At the noise level of the data, half of the state is signal
 * ```ts
 * import { edmPreconditioning } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * assert.equal(edmPreconditioning(0.5).scales(0.5).skip, 0.5);
 * ```
 */
export function edmPreconditioning(sigmaData: number = 0.5): Preconditioning {
  checkPositive(ACTION, "sigmaData", sigmaData);
  return {
    config: { kind: "edm", sigmaData },
    scales(sigma) {
      const total = sigma ** 2 + sigmaData ** 2, root = Math.sqrt(total);
      return {
        skip: sigmaData ** 2 / total,
        out: sigma * sigmaData / root,
        in: 1 / root,
        noise: quarterLog(sigma),
      };
    },
    weight: (sigma) => (sigma ** 2 + sigmaData ** 2) / (sigma * sigmaData) ** 2,
  };
}

/** Options of {@linkcode plainPreconditioning}. */
export interface PlainOptions {
  /** Below this noise level the network is told this one. Default 0.002. */
  readonly sigmaMin?: number;
  /** Above this noise level the network is told this one. Default 80. */
  readonly sigmaMax?: number;
}

const PLAIN_OPTIONS = { sigmaMin: 0.002, sigmaMax: 80 } satisfies OptionTable<PlainOptions>;

/**
 * No preconditioning: the network is the denoiser, `D = F(x, ¼ ln σ)`, with the noise level that it is told kept within
 * bounds, and the weight 1.
 *
 * @param options The bounds.
 * @returns The preconditioning.
 * @throws {RangeError} If a bound is not a finite number > 0, or they do not rise.
 * @throws {TypeError} If there is no such option.
 *
 * @example
 * ```ts
 * import { plainPreconditioning } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const { noise, ...others } = plainPreconditioning({ sigmaMax: 1 }).scales(50);
 * assert.deepEqual([noise, others], [0, { skip: 0, out: 1, in: 1 }]);
 * ```
 */
export function plainPreconditioning(options: PlainOptions = {}): Preconditioning {
  const { sigmaMin, sigmaMax } = readOptions(ACTION, options, PLAIN_OPTIONS);
  checkPositive(ACTION, "sigmaMin", sigmaMin);
  checkPositive(ACTION, "sigmaMax", sigmaMax);
  if (sigmaMin >= sigmaMax) {
    throw new RangeError(
      `Cannot precondition a network: sigmaMin is ${sigmaMin} and sigmaMax ${sigmaMax}, wanted them to rise`,
    );
  }
  return {
    config: { kind: "plain", sigmaMin, sigmaMax },
    scales: (sigma) => ({
      skip: 0,
      out: 1,
      in: 1,
      noise: quarterLog(Math.min(sigmaMax, Math.max(sigmaMin, sigma))),
    }),
    weight: () => 1,
  };
}

/**
 * A network that predicts the noise of a variance-preserving state, as DDPM networks do.
 *
 * ```text
 * D = x − σ F(x/√(1+σ²), ¼ ln σ),   λ = 1/σ²
 * ```
 *
 * A network that wants to be told a time instead of `¼ ln σ` can compute it from that.
 *
 * @returns The preconditioning.
 *
 * @example
 * ```ts
 * import { noisePreconditioning } from "@closedform/diffusion/training";
 * import assert from "node:assert/strict";
 *
 * const { skip, out } = noisePreconditioning().scales(3);
 * assert.deepEqual([skip, out], [1, -3]);
 * ```
 */
export function noisePreconditioning(): Preconditioning {
  return {
    config: { kind: "noise" },
    scales: (sigma) => ({
      skip: 1,
      out: -sigma,
      in: 1 / Math.sqrt(1 + sigma ** 2),
      noise: quarterLog(sigma),
    }),
    weight: (sigma) => 1 / sigma ** 2,
  };
}

/**
 * A Gaussian as control variate: the network learns only what the Gaussian does not know.
 *
 * ```text
 * D(x, σ) = D_G(x, σ) + c_out F(c_in x, c_noise),   D_G = μ + Σ (Σ + σ²I)⁻¹ (x − μ)
 * ```
 *
 * In place of `c_skip`, which is the same in all directions, stands the share of signal `λ/(λ+σ²)` of each direction. A network
 * that says nothing is then the best linear denoiser, at every noise level, also where training hardly comes. The other scales
 * and the weight are those of the base. The numbers of the law are rounded to float32, in which files keep them.
 *
 * Reference: the Gaussian part of scores is from B. Wang, J. Vastola (2024), arXiv:2412.09726; as a control variate in training
 * it is measured by `tests/bench/control_variate.ts`.
 *
 * @param law The law, for instance from `dataSpectrum()` of the training data. For large images give it a low rank: a row of a
 * batch costs `4 r d` operations.
 * @param base The other scales. Default {@linkcode edmPreconditioning}.
 * @returns The preconditioning, for `trainDenoiser()` and `neural()`.
 * @throws {TypeError} If the parts of the law do not fit each other.
 * @throws {RangeError} If a number of the law is not finite, a variance negative, or the base has a law of its own.
 *
 * @example Untrained, it is the denoiser of the Gaussian
 * ```ts
 * import { gaussianLaw, openDevice } from "@closedform/diffusion";
 * import { tensorSpace } from "@closedform/diffusion/compute";
 * import { controlVariate, neural } from "@closedform/diffusion/training";
 * import * as tf from "@tensorflow/tfjs-core";
 * import assert from "node:assert/strict";
 *
 * using device = await openDevice("wasm");
 * const preconditioning = controlVariate(gaussianLaw([1, 1], 3));
 * const denoiser = neural((x) => tf.zerosLike(x), { shape: [2], preconditioning });
 * const x = tensorSpace.from([5, 1], [1, 2]);
 * const denoised = (await denoiser.denoise(x, 1)).mean;
 * assert.deepEqual([...await tensorSpace.values(denoised)], [4, 1]);
 * tensorSpace.dispose(x, denoised);
 * ```
 */
export function controlVariate(
  law: GaussianLaw,
  base: Preconditioning = edmPreconditioning(),
): Preconditioning {
  checkRow(law, law.mean, ACTION);
  if (base.law) {
    throw new RangeError(`Cannot ${ACTION}: the base has a law of its own, wanted one without`);
  }
  const rounded = {
    mean: law.mean.map(Math.fround),
    variances: law.variances.map(Math.fround),
    ...(law.basis && { basis: law.basis.map(Math.fround) }),
    floor: Math.fround(law.floor),
  };
  const arrays = [rounded.mean, rounded.variances, Float64Array.of(rounded.floor)];
  if (rounded.basis) arrays.push(rounded.basis);
  for (const numbers of arrays) finiteRow(numbers, ACTION);
  const negative = [...rounded.variances, rounded.floor].find((v) => v < 0);
  if (negative !== undefined) {
    throw new RangeError(`Cannot ${ACTION}: a variance is ${negative}, wanted numbers >= 0`);
  }
  const checksum = arrays.reduce((sum, { buffer }) => crc32(new Uint8Array(buffer), sum), 0);
  return {
    config: { kind: "control-variate", base: base.config, law: checksum.toString(16) },
    scales: (sigma) => ({ ...base.scales(sigma), skip: 0 }),
    weight: (sigma) => base.weight(sigma),
    law: rounded,
  };
}

/**
 * The preconditioning that a file names.
 *
 * @param config What it is made from.
 * @param law The law of a control variate, if it is one.
 * @returns The preconditioning.
 * @throws {RangeError} If there is no such kind, or the law is missing or another.
 * @throws {TypeError} If a number of the configuration is null.
 *
 * @example
 * ```ts
 * import { preconditioningOf } from "./preconditioning.ts";
 * import assert from "node:assert/strict";
 *
 * assert.equal(preconditioningOf({ kind: "edm", sigmaData: 1 }).scales(1).skip, 0.5);
 * ```
 */
export function preconditioningOf(
  config: PreconditioningConfig,
  law?: GaussianLaw,
): Preconditioning {
  switch (config.kind) {
    case "edm":
      return edmPreconditioning(config.sigmaData);
    case "plain":
      return plainPreconditioning({ sigmaMin: config.sigmaMin, sigmaMax: config.sigmaMax });
    case "noise":
      return noisePreconditioning();
    case "control-variate": {
      const made = law && controlVariate(law, preconditioningOf(config.base));
      if (made && JSON.stringify(made.config) === JSON.stringify(config)) return made;
      throw new RangeError(
        `Cannot ${ACTION}: received ${law ? "another" : "no"} law, wanted that of ${config.law}`,
      );
    }
    default:
      throw new RangeError(
        `Cannot precondition a network: ${
          JSON.stringify(config)
        } is no preconditioning, wanted the kind edm, plain, noise or control-variate`,
      );
  }
}
