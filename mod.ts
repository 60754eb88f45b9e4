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
 * Three things make samples: a data set, a denoiser of it on a device, and a sampler on a grid of noise levels. This
 * is what there is of each, layer by layer; the page of a function links to the types of its options and its result.
 *
 * ## Data
 *
 * - By one text, as on the command line: {@linkcode loadDataset}, {@linkcode DATASET_SPECS}
 * - Images: {@linkcode readImages}, {@linkcode readMnist}, {@linkcode readIdx}, {@linkcode readCifar10},
 *   {@linkcode readCifar100}
 * - Arrays: {@linkcode readNpy}, {@linkcode readNpz}, {@linkcode readCsv}, {@linkcode encodeNpy},
 *   {@linkcode decodeNpy}, {@linkcode encodeNpz}; larger than memory: {@linkcode openRows}
 * - Meshes and clouds: {@linkcode readMesh}, {@linkcode parseMesh}, {@linkcode sampleMesh}, {@linkcode encodePly}
 * - Shipped or generated: {@linkcode builtinShapes}, {@linkcode shapes}, {@linkcode SHAPE_CLASSES},
 *   {@linkcode tinyShapes}, {@linkcode moons}, {@linkcode circle}, {@linkcode checkerboard}, {@linkcode spirals},
 *   {@linkcode gaussianMixture}
 * - From numbers of your own: {@linkcode dataset}, {@linkcode Dataset}
 *
 * ## Devices
 *
 * - {@linkcode useDevice}, {@linkcode openDevice}
 * - Arithmetic on states, as tensors or arrays: {@linkcode tensorSpace}, {@linkcode arraySpace}
 *
 * ## Denoisers
 *
 * - Exact, over all data: {@linkcode optimal}
 * - Smoothed, which makes something new: {@linkcode smoothed}, {@linkcode smoothingDefaults},
 *   {@linkcode smoothingSteps}, {@linkcode neighbourEstimator}; what it is compared with:
 *   {@linkcode randomAverage}, {@linkcode localAverage}, {@linkcode dirichletAverage}, {@linkcode kernelDensity}
 * - Of the covariance: {@linkcode wiener}, {@linkcode dataSpectrum}, {@linkcode lowRank}
 * - Local score machines: {@linkcode local}, {@linkcode equivariant}; their windows: {@linkcode patchSchedule}, {@linkcode patchTable},
 *   {@linkcode DEFAULT_WINDOWS}, {@linkcode PATCH_TABLES}, {@linkcode calibratePatches}
 * - PCA locality: {@linkcode pcaLocality}, {@linkcode localityMask},
 *   {@linkcode publishedTheta}, {@linkcode DEFAULT_THETA}
 * - Around one of these, over a subset: {@linkcode goldenSubset}, {@linkcode tiledGoldenSubset},
 *   {@linkcode GOLDEN_REFERENCE}
 * - Gaussians: {@linkcode gaussian}, {@linkcode gaussianLaw},
 *   {@linkcode readGaussianLaw}, {@linkcode gaussianTrajectory}, {@linkcode gaussianEndpoint},
 *   {@linkcode denoiseGaussian},
 *   {@linkcode transportGaussian}, {@linkcode flowFactor}, {@linkcode logDensityGaussian},
 *   {@linkcode drawGaussian}, {@linkcode alongAxes}, {@linkcode gaussianAxes}, {@linkcode rowAxes},
 *   {@linkcode scaleRows}
 * - Mixtures: {@linkcode mixture}, {@linkcode fitMixture},
 *   {@linkcode mixtureOf}, {@linkcode mixtureLaw}, {@linkcode denoiseMixture},
 *   {@linkcode mixturePosterior}, {@linkcode mixtureLogits}, {@linkcode meanOfMixture},
 *   {@linkcode gaussianOfMixture}, {@linkcode drawMixture}
 * - Of your own: {@linkcode functionDenoiser}; `sample()` takes a plain function as it is
 * - Networks: {@linkcode neural}, {@linkcode edmPreconditioning}, {@linkcode plainPreconditioning},
 *   {@linkcode noisePreconditioning}, {@linkcode preconditioningOf}; that learn what a Gaussian leaves:
 *   {@linkcode controlVariate}
 * - How far the optimal denoiser is from the Gaussian one: {@linkcode cumulantNorms}
 * - By schedule: {@linkcode subsetSchedule}, {@linkcode publishedSizes}, {@linkcode pcaProxy},
 *   {@linkcode pooledProxy}
 * - Certified: {@linkcode CertifiedSearch}, {@linkcode smallestCertified}, {@linkcode discardedMass},
 *   {@linkcode transportMass}, {@linkcode extentOf}
 *
 * ## Samplers
 *
 * - {@linkcode sample}, {@linkcode sampleSteps} runs one; {@linkcode endEstimate} of a certified one; by name: {@linkcode samplerByName}, {@linkcode SAMPLER_NAMES},
 *   {@linkcode takesTolerance}
 * - One step at a time: {@linkcode ddim}, {@linkcode euler}, {@linkcode heun}, {@linkcode rk4}
 * - From earlier steps: {@linkcode dpmpp1}, {@linkcode dpmpp2m}, {@linkcode dpmpp3m}, {@linkcode exponentialAdams},
 *   {@linkcode unipc}, {@linkcode multistep}
 * - Adaptive: {@linkcode dopri5}, {@linkcode dop853}
 * - Fitted to the data: {@linkcode dpmV3}, {@linkcode dpmV3Statistics}, {@linkcode gaussianStatistics}
 * - All steps at once: {@linkcode collocation}, {@linkcode picard}
 * - A first leg in one step: {@linkcode teleport}, {@linkcode gaussianLeg}, {@linkcode integratedLeg}; how far it
 *   may go: {@linkcode landingLevel}, {@linkcode skipLevel}, {@linkcode skipEstimate}, {@linkcode crossingLevel},
 *   {@linkcode legDeviation}
 * - Grids of noise levels: {@linkcode ddpmGrid}, {@linkcode karrasGrid}, {@linkcode logSnrGrid},
 *   {@linkcode uniformTGrid}, {@linkcode gridByName}, {@linkcode respacedGrid}, {@linkcode checkSigmas}
 * - Between conventions: {@linkcode sigmaOfAlphaBar}, {@linkcode alphaBarOfSigma}, {@linkcode sigmaOfFlowTime},
 *   {@linkcode flowTimeOfSigma}
 * - Random numbers: {@linkcode startNoise}, {@linkcode RandomStream}
 *
 * ## Metrics
 *
 * - Pairs of samples: {@linkcode mse}, {@linkcode rSquared}, {@linkcode pearson}, {@linkcode agreement},
 *   {@linkcode denoiserAgreement}, {@linkcode errorToFullScan}
 * - Memorisation: {@linkcode nearestItems}, {@linkcode memorisedShare}, {@linkcode MEMORISED_RATIO},
 *   {@linkcode memorisedDistance}, {@linkcode shareWithin}
 * - Distances of distributions: {@linkcode wasserstein2}, {@linkcode wasserstein2OfGaussians},
 *   {@linkcode wasserstein2OnLine}, {@linkcode assignment}, {@linkcode slicedWasserstein2}, {@linkcode sinkhorn},
 *   {@linkcode sinkhornDivergence}, {@linkcode energyDistance}, {@linkcode mmd}, {@linkcode frechetDistance}
 * - Coverage: {@linkcode precisionRecall}
 * - Scores: {@linkcode explainedScore}, {@linkcode explainedVariance}
 *
 * ## Comparisons
 *
 * - Each a table with a chart: {@linkcode compareSamplers}, {@linkcode compareDenoisers}, {@linkcode compareScores},
 *   {@linkcode compareAgreement}, {@linkcode compareTeleports}
 *
 * ## Codecs
 *
 * - Latents: {@linkcode pcaCodec}, {@linkcode encodeDataset}; nonlinear:
 *   {@linkcode autoencoderCodec}, {@linkcode loadAutoencoder}
 *
 * ## Plots and notebooks
 *
 * - {@linkcode show} shows anything, {@linkcode notebookProgress} tells how far a run is
 * - Charts: {@linkcode lineSpec}, {@linkcode scatterSpec}, {@linkcode cloudSpec}, {@linkcode fieldSpec},
 *   {@linkcode heatmapSpec}, {@linkcode posteriorSpec}, {@linkcode panelsSpec}, {@linkcode projection},
 *   {@linkcode chartSvg}, {@linkcode CHART_SCHEMA}
 * - Papers of what was used: {@linkcode cite}
 * - Pictures: {@linkcode imageGrid}, {@linkcode scatterImage}, {@linkcode trajectoryImage}, {@linkcode encodePng},
 *   {@linkcode joinBitmaps}, {@linkcode blankBitmap}
 *
 * ## Everything else
 *
 * - What the Stop button of a notebook cancels: {@linkcode stopButton}
 * - Errors: {@linkcode DatasetError}, {@linkcode DeviceError}, {@linkcode WriteError}
 *
 * ## Other entries
 *
 * - `@closedform/diffusion/theory`: every statement measured, exact flows, bounds
 * - `@closedform/diffusion/training`: networks and autoencoders
 * - `@closedform/diffusion/compute`: stores, posteriors in float64, masks, states
 * - `@closedform/diffusion/browser`: what of this needs no files, for pages
 * - `@closedform/diffusion/cli`: the command
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
export * from "./src/plots/chart.ts";
export * from "./src/plots/cloud_spec.ts";
export * from "./src/plots/encode_png.ts";
export * from "./src/plots/field_spec.ts";
export * from "./src/plots/heatmap_spec.ts";
export * from "./src/plots/line_spec.ts";
export * from "./src/plots/panels_spec.ts";
export * from "./src/plots/posterior_spec.ts";
export * from "./src/plots/scatter_spec.ts";
export * from "./src/base/stop_button.ts";
