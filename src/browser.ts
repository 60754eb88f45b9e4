/**
 * The entry for pages: what needs no files. The main entry has all of it, and the rest.
 *
 * On WebGPU, or on one thread of the CPU; `deno bundle --platform browser` makes one file of a program
 * that imports it. Data come from memory: generated, fetched, or from a form.
 *
 * @example Sample four of the shipped images, and make a picture of them for a canvas
 * ```ts
 * import { imageGrid, optimal, sample, shapes } from "@closedform/diffusion/browser";
 * import assert from "node:assert/strict";
 *
 * using denoiser = await optimal(shapes(512));
 * const { x, denoised } = await sample(denoiser, { count: 4, seed: 1, output: "tensor" });
 * const { width, height, data } = imageGrid(await x.data(), { shape: denoiser.shape });
 * denoiser.space.dispose(x, denoised);
 * assert.equal(data.length, 4 * width * height);
 * // In a page: context.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
 * ```
 *
 * @module
 */
export * from "./notebook/cite.ts";
export * from "./codecs/codec.ts";
export * from "./codecs/pca_codec.ts";
export * from "./compute/device.ts";
export type { EigenDecomposition } from "./compute/reference_eigen.ts";
export { openDevice } from "./compute/open_device.ts";
export { useDevice } from "./compute/use_device.ts";
export type { DeviceChoice, DeviceOption, StateOf } from "./compute/use_device.ts";
export type { StatesOf } from "./denoisers/base_denoiser.ts";
export type { DataOptions, DataSource } from "./denoisers/data_source.ts";
export type { Neighbours } from "./compute/neighbours.ts";
export type {
  EvaluateOptions,
  PointSet,
  Posterior,
  PosteriorFacts,
  Sigma,
} from "./compute/posterior.ts";
export type { PixelRegion } from "./compute/pixel_region.ts";
export type { PosteriorRounding, RoundedQuery, StoreRounding } from "./compute/rounding.ts";
export type { PointSource } from "./compute/point_source.ts";
export type { Subset } from "./compute/subset.ts";
export type { Distances } from "./compute/subset_posterior.ts";
export type { State, StateNumbers } from "./compute/batch.ts";
export type { TiltedPosterior, TiltedStore, TiltOptions, Tilts } from "./compute/tilted.ts";
export type { Translations, WindowOptions, WindowPosterior } from "./compute/windowed.ts";
export type { WorkOptions } from "./compute/work_options.ts";
export * from "./datasets/dataset.ts";
export { checkerboard, circle, gaussianMixture, moons, spirals } from "./datasets/generators.ts";
export type {
  CheckerboardOptions,
  GeneratorOptions,
  MixtureOptions,
  SpiralsOptions,
} from "./datasets/generators.ts";
export type { FileRows } from "./datasets/file_rows.ts";
export { readIdx } from "./datasets/idx.ts";
export type { IdxOptions } from "./datasets/idx.ts";
export { dataset } from "./datasets/make_dataset.ts";
export type { DatasetOptions, NestedNumbers } from "./datasets/make_dataset.ts";
export * from "./datasets/npy.ts";
export * from "./datasets/parse_mesh.ts";
export * from "./datasets/ply.ts";
export type { ReadOptions } from "./datasets/read_options.ts";
export { shapes } from "./datasets/shapes.ts";
export type { ShapesOptions } from "./datasets/shapes.ts";
export { tinyShapes } from "./datasets/tiny_shapes.ts";
export type { TinyShapesOptions } from "./datasets/tiny_shapes.ts";
export * from "./denoisers/baselines.ts";
export * from "./denoisers/local/calibrate_patches.ts";
export * from "./denoisers/denoiser.ts";
export { equivariant } from "./denoisers/local/equivariant.ts";
export type { EquivariantOptions } from "./denoisers/local/equivariant.ts";
export { functionDenoiser } from "./denoisers/function_denoiser.ts";
export type {
  DenoiserFunction,
  FunctionDenoiserOptions,
  RowsOfNumbers,
} from "./denoisers/function_denoiser.ts";
export { goldenSubset } from "./denoisers/golden/golden_subset.ts";
export type { GoldenSubset, GoldenSubsetOptions } from "./denoisers/golden/golden_subset.ts";
export { gaussian } from "./denoisers/gaussian/gaussian.ts";
export type { GaussianOptions } from "./denoisers/gaussian/gaussian.ts";
export { gaussianLaw } from "./denoisers/gaussian/gaussian_law.ts";
export type { GaussianLaw } from "./denoisers/gaussian/gaussian_law.ts";
export { local } from "./denoisers/local/local.ts";
export type { LocalOptions } from "./denoisers/local/local.ts";
export { localityMask } from "./denoisers/local/locality_mask.ts";
export type { MaskRule } from "./denoisers/local/locality_mask.ts";
export * from "./denoisers/gaussian/mixture.ts";
export { mixtureLaw } from "./denoisers/gaussian/mixture_law.ts";
export type { MixtureLaw } from "./denoisers/gaussian/mixture_law.ts";
export { mixtureOf } from "./denoisers/gaussian/mixture_of.ts";
export type { MixtureDenoiser } from "./denoisers/gaussian/mixture_of.ts";
export * from "./denoisers/neighbour_estimator.ts";
export { optimal } from "./denoisers/optimal.ts";
export type { OptimalDenoiser, OptimalOptions, StoredDenoiser } from "./denoisers/optimal.ts";
export { patchSchedule } from "./denoisers/local/patch_schedule.ts";
export type {
  Patch,
  PatchSchedule,
  PatchTable,
  PatchTableName,
} from "./denoisers/local/patch_schedule.ts";
export { pcaLocality } from "./denoisers/local/pca_locality.ts";
export type { PcaLocality, PcaLocalityOptions, ThetaName } from "./denoisers/local/pca_locality.ts";
export { smoothed } from "./denoisers/smoothed.ts";
export type { DrawKind, SmoothedOptions } from "./denoisers/smoothed.ts";
export { smoothingDefaults } from "./denoisers/smoothing_defaults.ts";
export type {
  SmoothingDefaults,
  SmoothingDefaultsOptions,
} from "./denoisers/smoothing_defaults.ts";
export { dataSpectrum, lowRank } from "./denoisers/gaussian/spectrum.ts";
export type { Spectrum, SpectrumOptions } from "./denoisers/gaussian/spectrum.ts";
export { tiledGoldenSubset } from "./denoisers/golden/tiled_golden_subset.ts";
export type { TiledGoldenSubsetOptions } from "./denoisers/golden/tiled_golden_subset.ts";
export * from "./denoisers/gaussian/wiener.ts";
export type {
  PixelOptions,
  StoredWindowDenoiser,
  WindowDenoiser,
} from "./denoisers/local/windowed.ts";
export * from "./base/errors.ts";
export type {
  AnyTensor,
  CoordinateCoefficient,
  CoordinateSpace,
  LinearSpace,
  StateSpace,
} from "./states/linear_space.ts";
export * from "./metrics/agreement.ts";
export * from "./metrics/assignment.ts";
export * from "./metrics/discrepancy.ts";
export { explainedScore, explainedVariance } from "./metrics/explained_variance.ts";
export type {
  ExplainedVariance,
  ExplainedVarianceOptions,
  ScoreComparison,
} from "./metrics/explained_variance.ts";
export * from "./metrics/frechet.ts";
export { memorisedDistance, memorisedShare, nearestItems, shareWithin } from "./metrics/nearest.ts";
export type { MemorisedDistanceOptions, NearestItems, NearestOptions } from "./metrics/nearest.ts";
export type { RowsOptions, Samples, ShapedRows } from "./metrics/samples.ts";
export * from "./metrics/pairs.ts";
export * from "./metrics/precision_recall.ts";
export * from "./metrics/sinkhorn.ts";
export * from "./metrics/sliced_wasserstein.ts";
export { wasserstein2, wasserstein2OnLine } from "./metrics/wasserstein.ts";
export type { Wasserstein2, Wasserstein2Options } from "./metrics/wasserstein.ts";
export { ddpmGrid, karrasGrid, logSnrGrid, uniformTGrid } from "./base/noise.ts";
export type { GridName, GridRange, SigmaGrid, UniformTOptions } from "./base/noise.ts";
export type { Bitmap, Colour } from "./plots/bitmap.ts";
export * from "./plots/image_grid.ts";
export { projection } from "./plots/projection.ts";
export type { SpaceView } from "./plots/projection.ts";
export * from "./plots/scatter_image.ts";
export * from "./plots/trajectory_image.ts";
export { RandomStream, startNoise } from "./base/random.ts";
export type { Purpose, StreamKey } from "./base/random.ts";
export type { Extent } from "./denoisers/golden/extent.ts";
export { pcaProxy } from "./denoisers/golden/pca_proxy.ts";
export { pooledProxy } from "./denoisers/golden/pooled_proxy.ts";
export type { PooledProxyOptions } from "./denoisers/golden/pooled_proxy.ts";
export type { ProxyDistances, RetrievalProxy } from "./denoisers/golden/proxy.ts";
export { subsetSchedule } from "./denoisers/golden/schedule.ts";
export type {
  ScheduleName,
  ScheduleOptions,
  ScheduleSizes,
  SizeRange,
  SizesName,
  SubsetSchedule,
} from "./denoisers/golden/schedule.ts";
export * from "./samplers/collocation.ts";
export * from "./samplers/ddim.ts";
export * from "./samplers/dopri5.ts";
export * from "./samplers/dop853.ts";
export * from "./samplers/dpm_v3.ts";
export * from "./samplers/dpm_v3/estimate.ts";
export type { DpmV3Facts, DpmV3Statistics, TableRange } from "./samplers/dpm_v3/statistics.ts";
export { dpmpp1 } from "./samplers/dpmpp_1.ts";
export { dpmpp2m } from "./samplers/dpmpp_2m.ts";
export * from "./samplers/dpmpp_3m.ts";
export * from "./samplers/euler.ts";
export * from "./samplers/exponential_adams.ts";
export { gaussianLeg, integratedLeg } from "./samplers/teleport/first_leg.ts";
export type {
  FirstLeg,
  GaussianLegOptions,
  IntegratedLegOptions,
  LegState,
} from "./samplers/teleport/first_leg.ts";
export * from "./samplers/heun.ts";
export * from "./samplers/multistep.ts";
export * from "./samplers/picard.ts";
export { SAMPLER_NAMES } from "./samplers/registry.ts";
export type { SamplerName } from "./samplers/registry.ts";
export * from "./samplers/rk4.ts";
export type { EmbeddedOptions } from "./samplers/runge_kutta/embedded.ts";
export { respacedGrid } from "./samplers/respaced_grid.ts";
export { sample } from "./samplers/sample.ts";
export { sampleSteps } from "./samplers/sample_steps.ts";
export type { SampleState, SampleStepsOptions } from "./samplers/sample_steps.ts";
export type { Output, SampleOptions } from "./samplers/sample.ts";
export type {
  FactName,
  Run,
  SampleResult,
  StepFacts,
  StepRecord,
  TrajectoryPoint,
} from "./samplers/run.ts";
export type { Progress } from "./base/progress.ts";
export type {
  TeleportChoice,
  TeleportFacts,
  TeleportPlanOptions,
} from "./samplers/teleport/plan.ts";
export type { Convergence, Sampler, SamplerOptions, SamplerStep } from "./samplers/sampler.ts";
export { teleport } from "./samplers/teleport/teleport.ts";
export type { TeleportOptions } from "./samplers/teleport/teleport.ts";
export * from "./samplers/unipc.ts";
