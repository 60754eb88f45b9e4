/**
 * The linear codec: leading principal components, whitened.
 *
 * @module
 */
import { checkOptionNames, type OptionTable, readOptions } from "../base/_options.ts";
import { openBasis } from "../compute/basis.ts";
import { WORK_OPTIONS, type WorkOptions } from "../compute/work_options.ts";
import type { Dataset } from "../datasets/dataset.ts";
import { directionsOf } from "../denoisers/gaussian/_spectrum_rounding.ts";
import { dataSpectrum, lowRank } from "../denoisers/gaussian/spectrum.ts";
import type { SpectrumOptions } from "../denoisers/gaussian/spectrum.ts";
import type { Codec } from "./codec.ts";

/** Options of {@linkcode pcaCodec}. */
export interface PcaCodecOptions extends Pick<SpectrumOptions, "cache" | "class" | "signal"> {
  /** Components that are kept, `r`, of those that have variance. Default: the smaller of 128 and `d`. */
  readonly rank?: number;
  /** Divide by the standard deviations, so that latents have unit variance. Default true. */
  readonly whiten?: boolean;
}

const OPTIONS = {
  rank: undefined,
  whiten: true,
  cache: undefined,
  class: undefined,
  signal: undefined,
} satisfies OptionTable<PcaCodecOptions>;

/**
 * Principal components as latents.
 *
 * ```text
 * y = diag(λ)^{-1/2} U (x − μ),   x̂ = μ + Uᵀ diag(λ)^{1/2} y
 * ```
 *
 * Decoding what was encoded is the orthogonal projection onto the leading components: the best of all
 * linear codecs, and with `r = d` the identity. Directions without variance are left out, whatever the rank: `N` items
 * have at most `N − 1` others, and to divide by the rounding in the rest would enlarge it. The label then says so, and
 * `latentDimension` is what is left.
 *
 * @param dataset The data that components are computed from.
 * @param options How many components; whether to whiten; where to keep the decomposition.
 * @returns The codec. Dispose it after use.
 * @throws {RangeError} If the rank is out of range, all items are the same, or the class does not exist.
 * @throws {TypeError} If there is no such option.
 *
 * @example All components: nothing is lost
 * ```ts
 * import { moons, pcaCodec } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const data = moons(100);
 * using codec = await pcaCodec(data);
 * const latents = await codec.encode(data.values(7));
 * const back = await codec.decode(latents);
 * assert.ok(back.every((v, c) => Math.abs(v - data.values(7)[c]) < 1e-6));
 * ```
 */
export async function pcaCodec(dataset: Dataset, options: PcaCodecOptions = {}): Promise<Codec> {
  const { rank: most = Math.min(128, dataset.dimension), whiten, ...rest } = readOptions(
    "encode by principal components",
    options,
    OPTIONS,
  );
  if (most === 0) {
    throw new RangeError(`Cannot encode by principal components: rank is 0, wanted at least 1`);
  }
  const spectrum = await dataSpectrum(dataset, { ...rest, rank: most });
  const rank = directionsOf(spectrum);
  if (rank === 0) {
    throw new RangeError(
      `Cannot encode by principal components: all items of ${dataset.name} are the same, wanted some that differ`,
    );
  }
  const { mean, variances, basis } = lowRank(spectrum, rank);
  const threads = await openBasis(basis, mean.length);
  const scale = variances.map((v) => whiten ? Math.sqrt(v) : 1);
  const d = mean.length;
  return {
    label: `${rank} principal component${rank === 1 ? "" : "s"}${
      rank < most ? `, all that have variance (of ${most})` : ""
    }${whiten ? ", whitened" : ""}`,
    references: [
      "K. Pearson (1901), On lines and planes of closest fit to systems of points in space, Philosophical Magazine 2, 559-572",
    ],
    shape: dataset.shape,
    latentDimension: rank,
    async encode(samples, work = {}) {
      checkRows(samples, d, "encode", work);
      const centred = Float64Array.from(samples, (v, i) => v - mean[i % d]);
      const latents = await threads.coordinates(centred);
      return Float32Array.from(latents, (v, i) => v / scale[i % rank]);
    },
    async decode(latents, work = {}) {
      checkRows(latents, rank, "decode", work);
      const scaled = Float64Array.from(latents, (v, i) => v * scale[i % rank]);
      const samples = await threads.combinations(scaled);
      return Float32Array.from(samples, (v, i) => v + mean[i % d]);
    },
    [Symbol.dispose]: () => threads[Symbol.dispose](),
  };
}

function checkRows(
  rows: Float32Array,
  width: number,
  action: string,
  work: WorkOptions,
): void {
  checkOptionNames(action, work, WORK_OPTIONS);
  work.signal?.throwIfAborted();
  if (rows.length === 0 || rows.length % width !== 0) {
    throw new TypeError(
      `Cannot ${action}: received ${rows.length} numbers, wanted whole rows of ${width}`,
    );
  }
}
