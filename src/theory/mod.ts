/**
 * Both sides of the theory: every statement measured, and the exact flows, laws and bounds that they stand on.
 *
 * ```ts
 * import { report, STATEMENTS, theoryTable } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * const kept = await STATEMENTS.quantilesAreKept();
 * assert.ok(kept.holds && kept.measured <= kept.bound);
 * assert.match(theoryTable([kept, report("one is at most two", 1, 2)]), /yes$/);
 * ```
 *
 * `deno task theory` evaluates all of them. A test of a sampler or a denoiser of your own needs an answer that is
 * known: the flows give it, each with its denoiser and where its trajectories end.
 *
 * ## Statements
 *
 * - By name: {@linkcode STATEMENTS}; as a table: {@linkcode theoryTable}; your own: {@linkcode report}
 *
 * ## Exact flows
 *
 * - {@linkcode gaussianFlow}, {@linkcode pointFlow}, {@linkcode mixtureFlow}, {@linkcode empiricalFlow},
 *   {@linkcode exactFlow}, {@linkcode extrapolateFlow}
 * - Targets: {@linkcode isotropicMixture}, {@linkcode ringTarget}, {@linkcode sphereTarget},
 *   {@linkcode ambientTarget}
 * - Orders of samplers against them: {@linkcode measuredOrders}, {@linkcode straightened}
 *
 * ## Gaussians and mixtures in closed form
 *
 * - {@linkcode gaussianTrajectory}, {@linkcode gaussianEndpoint}, {@linkcode denoiseGaussian},
 *   {@linkcode transportGaussian}, {@linkcode flowFactor}, {@linkcode logDensityGaussian},
 *   {@linkcode drawGaussian}, {@linkcode gaussianStatistics},
 *   {@linkcode wasserstein2OfGaussians}; along their axes: {@linkcode alongAxes},
 *   {@linkcode gaussianAxes}, {@linkcode rowAxes}, {@linkcode scaleRows}
 * - {@linkcode denoiseMixture}, {@linkcode mixturePosterior}, {@linkcode mixtureLogits},
 *   {@linkcode meanOfMixture}, {@linkcode gaussianOfMixture}, {@linkcode drawMixture}
 * - How far data are from a Gaussian: {@linkcode cumulantNorms}; how far a teleport may go:
 *   {@linkcode landingLevel}, {@linkcode skipLevel}, {@linkcode skipEstimate}, {@linkcode crossingLevel},
 *   {@linkcode legDeviation}
 * - Levels between conventions: {@linkcode sigmaOfAlphaBar}, {@linkcode alphaBarOfSigma},
 *   {@linkcode sigmaOfFlowTime}, {@linkcode flowTimeOfSigma}
 *
 * ## Posteriors and their bounds
 *
 * - Posteriors: {@linkcode posteriorLogits}, {@linkcode restrictedMean}, {@linkcode rowsByLogit},
 *   {@linkcode logSumExp}, {@linkcode concentration}
 * - Subsets: {@linkcode truncation}, {@linkcode subsetSizes}, {@linkcode localTruncation},
 *   {@linkcode transportedSteps}, {@linkcode sampledTail}, {@linkcode tailMassBound}
 * - Certificates: {@linkcode CertifiedSearch}, {@linkcode smallestCertified}, {@linkcode discardedMass},
 *   {@linkcode transportMass}, {@linkcode extentOf}; of ends: {@linkcode endEstimate}
 * - Biased estimates: {@linkcode averagedSoftmax}, {@linkcode averagedSoftmaxErrors}, {@linkcode knnProposal},
 *   {@linkcode knnImportance}
 * - Replacements: {@linkcode gaussianDeviationBound}, {@linkcode lateStartBound}
 *
 * @module
 */
export {
  alphaBarOfSigma,
  flowTimeOfSigma,
  sigmaOfAlphaBar,
  sigmaOfFlowTime,
} from "../base/noise.ts";
export { cumulantNorms } from "../denoisers/gaussian/cumulants.ts";
export type { CumulantNorms, CumulantOptions } from "../denoisers/gaussian/cumulants.ts";
export { gaussianAxes, rowAxes, scaleRows } from "../denoisers/gaussian/gaussian_axes.ts";
export type { AxisFactor, GaussianAxes, RowAxes } from "../denoisers/gaussian/gaussian_axes.ts";
export {
  alongAxes,
  denoiseGaussian,
  drawGaussian,
  flowFactor,
  logDensityGaussian,
  transportGaussian,
} from "../denoisers/gaussian/gaussian_law.ts";
export { gaussianEndpoint, gaussianTrajectory } from "../denoisers/gaussian/gaussian_trajectory.ts";
export type { FlowState, TrajectoryOptions } from "../denoisers/gaussian/gaussian_trajectory.ts";
export {
  denoiseMixture,
  drawMixture,
  gaussianOfMixture,
  meanOfMixture,
  mixtureLogits,
  mixturePosterior,
} from "../denoisers/gaussian/mixture_law.ts";
export { discardedMass, smallestCertified } from "../denoisers/golden/certificate.ts";
export type { CertifiedSize, MeasuredLogits } from "../denoisers/golden/certificate.ts";
export * from "../denoisers/golden/certified_search.ts";
export { extentOf } from "../denoisers/golden/extent.ts";
export type { Extent } from "../denoisers/golden/extent.ts";
export * from "../denoisers/golden/transported_mass.ts";
export { wasserstein2OfGaussians } from "../metrics/wasserstein.ts";
export type { GaussianMoments } from "../metrics/wasserstein.ts";
export * from "../samplers/end_estimate.ts";
export { gaussianStatistics } from "../samplers/dpm_v3/statistics.ts";
export { crossingLevel } from "../samplers/teleport/crossing_level.ts";
export type {
  CrossingLevel,
  CrossingOptions,
  DeviationsAtLevel,
} from "../samplers/teleport/crossing_level.ts";
export { legDeviation } from "../samplers/teleport/leg_deviation.ts";
export type {
  DeviationAtLevel,
  LegDeviation,
  LegDeviationOptions,
} from "../samplers/teleport/leg_deviation.ts";
export { skipEstimate, skipLevel } from "../samplers/teleport/skip_level.ts";
export type { SkipEstimate } from "../samplers/teleport/skip_level.ts";
export { landingLevel } from "../samplers/teleport/teleport.ts";
export type { TeleportLimit } from "../samplers/teleport/teleport.ts";
export { averagedSoftmax, averagedSoftmaxErrors } from "./averaged_softmax.ts";
export type { AveragedSoftmax, AveragedSoftmaxError } from "./averaged_softmax.ts";
export { gaussianDeviationBound } from "./deviation_bound.ts";
export type { PointCloud } from "./deviation_bound.ts";
export * from "./flows/empirical_flow.ts";
export * from "./flows/exact_flow.ts";
export * from "./flows/extrapolation.ts";
export { gaussianFlow, pointFlow } from "./flows/gaussian_flow.ts";
export * from "./flows/isotropic_mixture.ts";
export { mixtureFlow } from "./flows/mixture_flow.ts";
export * from "./flows/targets.ts";
export { knnImportance, knnProposal } from "./knn_importance.ts";
export { lateStartBound } from "./late_start.ts";
export { localTruncation } from "./local_truncation.ts";
export type { LocalTruncation } from "./local_truncation.ts";
export * from "./measured_order.ts";
export { logSumExp, posteriorLogits, restrictedMean, rowsByLogit } from "./posterior_logits.ts";
export { concentration } from "./progressive_concentration.ts";
export type { Concentration, ConcentrationOptions } from "./progressive_concentration.ts";
export { sampledTail, tailMassBound } from "./sampled_tail.ts";
export type { SampledTail, TailSample } from "./sampled_tail.ts";
export * from "./statement.ts";
export * from "./statements.ts";
export { straightened } from "./straightened.ts";
export type { StraightenedOptions } from "./straightened.ts";
export * from "./sufficient_subset.ts";
export { transportedSteps } from "./transported_certificate.ts";
export type { TransportedStep } from "./transported_certificate.ts";
export * from "./truncation.ts";
