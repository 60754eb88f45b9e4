/**
 * Means and principal components of images that others have published, as Gaussian laws.
 *
 * @module
 */
import { type OptionTable, readOptions } from "../../base/_options.ts";
import { checkWhole } from "../../base/_checks.ts";
import { sizeOf } from "../../base/_shape.ts";
import { type Interruptible, inTurns } from "../../base/_turns.ts";
import { readArray } from "../../datasets/_read_array.ts";
import { readTorchFile, torchPickle } from "../../datasets/_torch_file.ts";
import { ZipArchive } from "../../datasets/_zip.ts";
import type { NpyArray } from "../../datasets/npy.ts";
import { DatasetError } from "../../base/errors.ts";
import { lowRank } from "./spectrum.ts";
import type { Spectrum } from "./spectrum.ts";

/** Options of {@linkcode readGaussianLaw}. */
export interface ReadGaussianLawOptions {
  /**
   * The shape of one image, `[height, width, channels]`. The file's numbers are then taken as channels first, as PyTorch has
   * them, and put in this package's order. Default: they stay in the order of the file.
   */
  readonly shape?: readonly number[];
  /** What black and white are in the file. Default `[0, 1]`, as published; with `[-1, 1]` nothing is converted. */
  readonly range?: readonly [low: number, high: number];
  /** Keep so many of the largest variances, or all if there are fewer. Default: all. */
  readonly rank?: number;
  /**
   * The least variance in any direction, in units of the law: the mean of what the rank leaves out, or a number. Default
   * `"discarded"`.
   */
  readonly floor?: number | "discarded";
  /** Cancels the reading; it then rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

const KEYS = ["eigval", "eigvec", "imgmean"] as const;
type Arrays = Record<typeof KEYS[number], NpyArray>;
/** As for arrays in general: no typed array holds more. */
const MOST = 2 ** 33;

const OPTIONS = {
  shape: undefined,
  range: undefined,
  rank: undefined,
  floor: undefined,
  signal: undefined,
} satisfies OptionTable<ReadGaussianLawOptions>;

/**
 * Reads a Gaussian law from a file of principal components, as they are published of CIFAR-10, FFHQ, AFHQ and ImageNet.
 *
 * ```text
 * imgmean [d]   eigval [r]   eigvec [d, r], a direction per column
 * ```
 *
 * in a `.npz` archive, or in a `.pt` file of `torch.save`, of which only tensors are read and nothing is run. For images with
 * numbers from `low` to `high` the law is that of images in `[-1, 1]`: `μ → sμ − 1 − s low` and `λ → s²λ` with
 * `s = 2/(high − low)`, so `2μ − 1` and `4λ` for `[0, 1]`. The published variances have the divisor `N − 1`, as those of
 * `dataSpectrum()`.
 *
 * Reference: B. Wang, J. Vastola (2024), arXiv:2412.09726, and its code, Animadversio/GaussianTeleportationDiffusion.
 *
 * @param file The file.
 * @param options Shape, range, rank, floor.
 * @returns The law, for `gaussian()` and `gaussianLeg()`; its variances fall, negative ones of rounding are 0.
 * @throws {DatasetError} If the file is missing or damaged, does not hold such arrays, or they do not fit each other.
 * @throws {TypeError} If the shape does not hold `d` numbers.
 * @throws {RangeError} If the range, the rank or the floor is out of range.
 *
 * @example
 * ```ts
 * import { encodeNpz, readGaussianLaw } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const file = await Deno.makeTempFile({ suffix: ".npz" });
 * await Deno.writeFile(file, encodeNpz({
 *   imgmean: { data: Float32Array.of(0.5, 1), shape: [2] },
 *   eigval: { data: Float32Array.of(0.25, 1), shape: [2] },
 *   eigvec: { data: Float32Array.of(0, 1, 1, 0), shape: [2, 2] },
 * }));
 * const { mean, variances, basis } = await readGaussianLaw(file);
 * assert.deepEqual([[...mean], [...variances], [...basis]], [[0, 1], [4, 1], [1, 0, 0, 1]]);
 * await Deno.remove(file);
 * ```
 */
export async function readGaussianLaw(
  file: string,
  options: ReadGaussianLawOptions = {},
): Promise<Spectrum> {
  const { range: [low, high] = [0, 1], floor } = readOptions(`read ${file}`, options, OPTIONS);
  const scale = 2 / (high - low);
  if (!(scale > 0 && scale < Infinity)) {
    throw new RangeError(
      `Cannot read a Gaussian: range is [${low}, ${high}], wanted two finite numbers that rise`,
    );
  }
  const { imgmean, eigval, eigvec } = await readArrays(file, options.signal);
  checkArrays(file, imgmean, eigval, eigvec);
  const d = imgmean.data.length, available = eigval.data.length;
  const rank = Math.min(options.rank ?? available, available);
  checkWhole("read a Gaussian", "rank", rank, 0);
  const falling = [...eigval.data.keys()].sort((a, b) => eigval.data[b] - eigval.data[a]);
  const variances = falling.map((k) => scale ** 2 * Math.max(0, eigval.data[k]));
  const rest = variances.slice(rank).reduce((sum, v) => sum + v, 0);
  const from = placesOf(options.shape ?? [d], d);
  const kept = falling.slice(0, rank);
  const basis = await inTurns(rowsOf(eigvec.data, from, kept, available), options.signal);
  const spectrum: Spectrum = {
    mean: Float64Array.from(from, (place) => scale * imgmean.data[place] - (1 + scale * low)),
    variances: Float64Array.from(variances.slice(0, rank)),
    basis,
    floor: rest / Math.max(1, d - rank),
  };
  return lowRank(spectrum, rank, floor);
}

/** Row k of the basis is the column of the k-th largest variance. Others are not kept: of large images they take gigabytes. */
function* rowsOf(
  columns: ArrayLike<number>,
  from: Int32Array,
  kept: readonly number[],
  available: number,
): Interruptible<Float64Array> {
  const d = from.length, rows = new Float64Array(kept.length * d);
  for (const [k, column] of kept.entries()) {
    for (let i = 0; i < d; i++) rows[k * d + i] = columns[from[i] * available + column];
    yield;
  }
  return rows;
}

/** Where the file has the numbers of an image: channels first if it has a shape with channels. */
function placesOf(shape: readonly number[], d: number): Int32Array {
  if (sizeOf(shape) !== d) {
    throw new TypeError(
      `Cannot read a Gaussian: the shape is [${shape}], wanted one of ${d} numbers`,
    );
  }
  if (shape.length !== 3) return Int32Array.from({ length: d }, (_, at) => at);
  const channels = shape[2], pixels = d / channels;
  return Int32Array.from(
    { length: d },
    (_, at) => (at % channels) * pixels + Math.floor(at / channels),
  );
}

async function readArrays(file: string, signal?: AbortSignal): Promise<Arrays> {
  using archive = await ZipArchive.open(file, MOST, MOST, signal);
  const pickle = torchPickle(archive);
  let found: Map<string, NpyArray>;
  if (pickle) found = await readTorchFile(archive, pickle, KEYS, signal);
  else {
    found = new Map();
    for (const key of KEYS) {
      const entry = archive.entries.find(({ name }) => name === `${key}.npy`);
      if (!entry) continue;
      await using reader = archive.open(entry, signal);
      found.set(key, await readArray(reader, signal));
    }
  }
  if (KEYS.every((key) => found.has(key))) return Object.fromEntries(found) as Arrays;
  throw new DatasetError(
    file,
    `of ${KEYS.join(", ")} the arrays [${KEYS.filter((key) => found.has(key)).join(", ")}]`,
    "all of them",
  );
}

function checkArrays(file: string, mean: NpyArray, values: NpyArray, vectors: NpyArray): void {
  const d = mean.data.length, r = values.data.length;
  if (d < 1 || values.shape.length !== 1 || r > d || vectors.shape.join() !== `${d},${r}`) {
    throw new DatasetError(
      file,
      `imgmean [${mean.shape}], eigval [${values.shape}] and eigvec [${vectors.shape}]`,
      `[d], [r] and [d,r] with r ≤ d`,
    );
  }
  for (
    const [key, { data }] of Object.entries({ imgmean: mean, eigval: values, eigvec: vectors })
  ) {
    const bad = data.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0) throw new DatasetError(`${file}/${key}`, String(data[bad]), "finite numbers");
  }
  // Rounding of the decomposition to float32, of a matrix as large as its largest eigenvalue.
  let largest = 0, least = 0;
  for (const v of values.data) {
    largest = Math.max(largest, v);
    least = Math.min(least, v);
  }
  if (least < -d * 2 ** -23 * largest) {
    throw new DatasetError(`${file}/eigval`, String(least), "variances ≥ 0 up to rounding");
  }
  const squares = new Float64Array(r);
  for (let at = 0; at < vectors.data.length; at++) squares[at % r] += vectors.data[at] ** 2;
  // The same, relative to unit length, and no less than what 16-bit numbers would give.
  const off = squares.findIndex((square) => !(Math.abs(square - 1) < 1e-2));
  if (off >= 0) {
    throw new DatasetError(
      `${file}/eigvec`,
      `a column of length ${Math.sqrt(squares[off])}`,
      "columns of length 1",
    );
  }
}
