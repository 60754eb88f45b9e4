/**
 * The denoiser of a run.
 *
 * @module
 */
import type { Device } from "../compute/device.ts";
import type { Dataset } from "../datasets/dataset.ts";
import {
  dirichletAverage,
  kernelDensity,
  localAverage,
  randomAverage,
} from "../denoisers/baselines.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import { equivariant } from "../denoisers/local/equivariant.ts";
import { goldenSubset } from "../denoisers/golden/golden_subset.ts";
import { local } from "../denoisers/local/local.ts";
import { mixture } from "../denoisers/gaussian/mixture.ts";
import { neighbourEstimator } from "../denoisers/neighbour_estimator.ts";
import { optimal } from "../denoisers/optimal.ts";
import type { StoredDenoiser } from "../denoisers/optimal.ts";
import { pcaLocality } from "../denoisers/local/pca_locality.ts";
import { smoothed } from "../denoisers/smoothed.ts";
import { tiledGoldenSubset } from "../denoisers/golden/tiled_golden_subset.ts";
import { wiener } from "../denoisers/gaussian/wiener.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import type { RunData } from "./run_data.ts";
import type { RunOptions } from "./options.ts";
import { detailOf, UsageError } from "./values.ts";

/**
 * Makes the denoiser that the options name.
 *
 * @throws {UsageError} If it cannot be made for these data.
 */
export async function denoiserOf(
  { dataset, rows }: RunData,
  device: Device,
  options: RunOptions,
  signal?: AbortSignal,
): Promise<StoredDenoiser> {
  const made = await make({ dataset, rows }, device, options, signal);
  try {
    checkStart(made, options);
    return made;
  } catch (error) {
    made.dispose();
    throw error;
  }
}

/** A grid may start at what only some denoisers know. */
function checkStart({ draw, mean, label }: StoredDenoiser, { grid, start }: RunOptions): void {
  if (grid.startAtData && !draw) {
    throw new UsageError(
      `Cannot use --start ${start}: it starts at noised items, of which the ${label} cannot draw, wanted --start 0`,
    );
  }
  if (grid.startAtMean && !mean) {
    throw new UsageError(
      `Cannot use --grid ${grid.name}: it starts at the data mean, which the ${label} does not know, wanted another grid`,
    );
  }
}

async function make(
  { dataset, rows }: Pick<RunData, "dataset" | "rows">,
  device: Device,
  options: RunOptions,
  signal?: AbortSignal,
): Promise<StoredDenoiser> {
  const { denoiser, grid } = options;
  if (rows) {
    if (denoiser === "optimal") {
      return await optimal(rows, { device, mean: grid.startAtMean, signal });
    }
    throw new UsageError(
      `Cannot use --denoiser ${denoiser} with data that stay on disk: wanted optimal`,
    );
  }
  try {
    if (denoiser === "mixture") {
      const { mixture: choice, seed } = options;
      return await mixture(dataset, { device, ...choice, seed, signal });
    }
    if (denoiser === "smoothed") return await smooth(dataset, device, options);
    if (options.baseline) return await baselineOf(dataset, device, options);
    return denoiser.startsWith("golden")
      ? await golden(dataset, device, options, signal)
      : await BASES[denoiser as keyof typeof BASES](dataset, device, options, signal);
  } catch (error) {
    const wrong = error instanceof RangeError || error instanceof TypeError;
    if (!wrong || signal?.aborted) throw error;
    throw new UsageError(`Cannot use --denoiser ${denoiser}: ${detailOf(error)}`);
  }
}

/** The denoisers that only take the data. */
const BASES = {
  optimal: (dataset: Dataset, device: Device) => optimal(dataset, { device }),
  wiener: (dataset: Dataset, device: Device, _: RunOptions, signal?: AbortSignal) =>
    wiener(dataset, { device, signal }),
  local: (dataset: Dataset, device: Device, { pixels: { windows } }: RunOptions) =>
    local(dataset, { device, windows }),
  equivariant: (dataset: Dataset, device: Device, { pixels: { windows } }: RunOptions) =>
    equivariant(dataset, { device, windows }),
  pca: (
    dataset: Dataset,
    device: Device,
    { pixels: { theta } }: RunOptions,
    signal?: AbortSignal,
  ) => pcaLocality(dataset, { device, theta, signal }),
};

/** The smoothed optimal denoiser, or an estimate of it. */
async function smooth(
  dataset: Dataset,
  device: Device,
  { smoothing, seed }: RunOptions,
): Promise<StoredDenoiser> {
  const { bandwidth, draws, drawKind, neighbours } = smoothing!;
  using resources = new DisposableStack();
  const base = resources.use(await optimal(dataset, { device }));
  const inner = neighbours ? await neighbourEstimator(base, { ...neighbours, seed }) : base;
  const made = await smoothed(inner, { bandwidth, draws, drawKind, seed });
  return released(made, resources.move());
}

/** A baseline, whose points are drawn as samples of a model are. */
async function baselineOf(
  dataset: Dataset,
  device: Device,
  { denoiser, baseline, seed }: RunOptions,
): Promise<StoredDenoiser> {
  using resources = new DisposableStack();
  if (denoiser === "kernel-density") {
    const base = resources.use(await optimal(dataset, { device }));
    return released(
      await kernelDensity(base, { bandwidth: baseline!.bandwidth as number }),
      resources.move(),
    );
  }
  const average = denoiser === "dirichlet"
    ? dirichletAverage
    : denoiser === "local-average"
    ? localAverage
    : randomAverage;
  const { bandwidth: _, ...choice } = baseline!;
  const drawn = await average(dataset, { device, ...choice, seed });
  return released(drawn, resources.move());
}

/** A denoiser that releases what it is made of. */
function released(denoiser: Denoiser<AnyTensor>, held: DisposableStack): StoredDenoiser {
  return {
    ...denoiser,
    dispose: () => held.dispose(),
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** A golden subset and its base, released together. */
async function golden(
  dataset: Dataset,
  device: Device,
  options: RunOptions,
  signal?: AbortSignal,
): Promise<StoredDenoiser> {
  const { denoiser, subset, seed } = options;
  const name = denoiser === "golden" ? "optimal" : denoiser === "golden-pca" ? "pca" : "local";
  using resources = new DisposableStack();
  const base: StoredDenoiser = resources.use(await BASES[name](dataset, device, options, signal));
  const { tiles, ...sizes } = subset;
  const found = resources.use(
    tiles !== undefined
      ? await tiledGoldenSubset(base, { tiles, k: sizes.k, signal })
      : await goldenSubset(base, { ...sizes, seed, signal }),
  );
  return released(found, resources.move());
}
