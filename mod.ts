/**
 * Closed-form diffusion models: the score of a finite data set is known
 * exactly, so samples need no training.
 *
 * ```ts
 * import { moons, optimal, sample } from "@closedform/diffusion";
 * import assert from "node:assert/strict";
 *
 * const exact = await optimal(moons(1000));
 * const { samples } = await sample(exact, { count: 16, steps: 10, seed: 1 });
 * assert.deepEqual([samples.count, samples.shape], [16, [2]]);
 * ```
 *
 * Data, a denoiser of them and a sampler on a grid of noise levels make samples. Pages of functions link to their options.
 *
 * ## Data
 *
 * By one text: {@linkcode loadDataset}, {@linkcode DATASET_SPECS}; your numbers: {@linkcode dataset},
 * {@linkcode Dataset}; files: {@linkcode readImages}, {@linkcode readMnist}, {@linkcode readIdx},
 * {@linkcode readCifar10}, {@linkcode readCifar100}, {@linkcode readNpy}, {@linkcode readNpz}, {@linkcode readCsv},
 * {@linkcode openRows}, {@linkcode readMesh}, {@linkcode parseMesh}, {@linkcode sampleMesh}; written:
 * {@linkcode encodeNpy}, {@linkcode decodeNpy}, {@linkcode encodeNpz}, {@linkcode encodePly}; shipped or generated:
 * {@linkcode builtinShapes}, {@linkcode shapes}, {@linkcode tinyShapes}, {@linkcode moons}, {@linkcode circle},
 * {@linkcode checkerboard}, {@linkcode spirals}, {@linkcode gaussianMixture}.
 *
 * ## Devices
 *
 * Chosen once: {@linkcode useDevice}; opened: {@linkcode openDevice}.
 *
 * ## Denoisers
 *
 * Exact: {@linkcode optimal}; over subsets: {@linkcode goldenSubset}, {@linkcode tiledGoldenSubset},
 * {@linkcode subsetSchedule}, {@linkcode pcaProxy}, {@linkcode pooledProxy}; smoothed: {@linkcode smoothed},
 * {@linkcode smoothingDefaults}, {@linkcode neighbourEstimator}; its baselines: {@linkcode randomAverage},
 * {@linkcode localAverage}, {@linkcode dirichletAverage}, {@linkcode kernelDensity}; of the covariance:
 * {@linkcode wiener}, {@linkcode dataSpectrum}, {@linkcode lowRank}; local: {@linkcode local}, {@linkcode equivariant},
 * {@linkcode patchSchedule}, {@linkcode calibratePatches}, {@linkcode pcaLocality}, {@linkcode localityMask}; Gaussians
 * and mixtures: {@linkcode gaussian}, {@linkcode gaussianLaw}, {@linkcode readGaussianLaw}, {@linkcode mixture},
 * {@linkcode fitMixture}, {@linkcode mixtureOf}, {@linkcode mixtureLaw}; yours: {@linkcode functionDenoiser}.
 *
 * ## Samplers
 *
 * Run: {@linkcode sample}, {@linkcode sampleSteps}, {@linkcode SAMPLER_NAMES}; by steps: {@linkcode ddim},
 * {@linkcode euler}, {@linkcode heun}, {@linkcode rk4}, {@linkcode dpmpp1}, {@linkcode dpmpp2m}, {@linkcode dpmpp3m},
 * {@linkcode exponentialAdams}, {@linkcode unipc}, {@linkcode multistep}; adaptive: {@linkcode dopri5},
 * {@linkcode dop853}; fitted to data: {@linkcode dpmV3}, {@linkcode dpmV3Statistics}; all steps at once:
 * {@linkcode collocation}, {@linkcode picard}; a first leg: {@linkcode teleport}, {@linkcode gaussianLeg},
 * {@linkcode integratedLeg}; grids: {@linkcode ddpmGrid}, {@linkcode karrasGrid}, {@linkcode logSnrGrid},
 * {@linkcode uniformTGrid}, {@linkcode respacedGrid}; random numbers: {@linkcode startNoise}, {@linkcode RandomStream}.
 *
 * ## Metrics
 *
 * Pairs: {@linkcode mse}, {@linkcode rSquared}, {@linkcode pearson}, {@linkcode agreement},
 * {@linkcode denoiserAgreement}, {@linkcode errorToFullScan}; copies: {@linkcode nearestItems},
 * {@linkcode memorisedShare}, {@linkcode memorisedDistance}, {@linkcode shareWithin}; distributions:
 * {@linkcode wasserstein2}, {@linkcode wasserstein2OnLine}, {@linkcode assignment}, {@linkcode slicedWasserstein2},
 * {@linkcode sinkhorn}, {@linkcode sinkhornDivergence}, {@linkcode energyDistance}, {@linkcode mmd},
 * {@linkcode frechetDistance}, {@linkcode precisionRecall}; scores: {@linkcode explainedScore},
 * {@linkcode explainedVariance}.
 *
 * ## Comparisons
 *
 * Each a table with a chart: {@linkcode compareSamplers}, {@linkcode compareDenoisers}, {@linkcode compareScores},
 * {@linkcode compareAgreement}, {@linkcode compareTeleports}.
 *
 * ## Codecs
 *
 * Latents: {@linkcode pcaCodec}, {@linkcode encodeDataset}, {@linkcode autoencoderCodec}, {@linkcode loadAutoencoder}.
 *
 * ## Plots and notebooks
 *
 * Anything: {@linkcode show}; how far a run is: {@linkcode notebookProgress}; papers: {@linkcode cite}; charts:
 * {@linkcode lineSpec}, {@linkcode scatterSpec}, {@linkcode cloudSpec}, {@linkcode fieldSpec}, {@linkcode heatmapSpec},
 * {@linkcode posteriorSpec}, {@linkcode panelsSpec}, {@linkcode projection}, {@linkcode chartSvg}; pictures:
 * {@linkcode imageGrid}, {@linkcode scatterImage}, {@linkcode trajectoryImage}, {@linkcode encodePng}.
 *
 * ## Everything else
 *
 * Errors: {@linkcode DatasetError}, {@linkcode DeviceError}, {@linkcode WriteError}; the Stop button:
 * {@linkcode stopButton}.
 *
 * ## Other entries
 *
 * `@closedform/diffusion/theory`: statements, exact flows, bounds; `/training`: networks; `/compute`: stores, states,
 * posteriors in float64; `/browser`: for pages, what of this needs no files; `/cli`: the command.
 *
 * @module
 */
export * from "./src/browser.ts";
export { autoencoderCodec, loadAutoencoder } from "./src/codecs/autoencoder_codec.ts";
export type { AutoencoderCodecOptions } from "./src/codecs/autoencoder_codec.ts";
export * from "./src/comparisons/compare_agreement.ts";
export * from "./src/comparisons/compare_denoisers.ts";
export * from "./src/comparisons/compare_samplers.ts";
export * from "./src/comparisons/compare_scores.ts";
export * from "./src/comparisons/compare_teleports.ts";
export type { Comparison } from "./src/comparisons/comparison.ts";
export * from "./src/datasets/builtin.ts";
export * from "./src/datasets/cifar.ts";
export * from "./src/datasets/file_rows.ts";
export * from "./src/datasets/idx.ts";
export * from "./src/datasets/images.ts";
export * from "./src/datasets/load.ts";
export * from "./src/datasets/mesh.ts";
export * from "./src/datasets/npz.ts";
export * from "./src/datasets/points.ts";
export * from "./src/datasets/read_npy.ts";
export * from "./src/denoisers/gaussian/read_gaussian_law.ts";
export type { Display, MediaBundle } from "./src/base/front_end.ts";
export { notebookProgress } from "./src/base/progress.ts";
export type { NotebookProgressOptions } from "./src/base/progress.ts";
export * from "./src/notebook/show.ts";
export { chartSvg } from "./src/plots/chart.ts";
export type { ChartOptions, ChartSpec, Json } from "./src/plots/chart.ts";
export * from "./src/plots/cloud_spec.ts";
export * from "./src/plots/encode_png.ts";
export * from "./src/plots/field_spec.ts";
export * from "./src/plots/heatmap_spec.ts";
export * from "./src/plots/line_spec.ts";
export * from "./src/plots/panels_spec.ts";
export * from "./src/plots/posterior_spec.ts";
export * from "./src/plots/scatter_spec.ts";
export * from "./src/base/stop_button.ts";
