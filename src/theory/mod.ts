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
 * ## Posteriors and their bounds
 *
 * - Posteriors: {@linkcode posteriorLogits}, {@linkcode restrictedMean}, {@linkcode rowsByLogit},
 *   {@linkcode logSumExp}, {@linkcode concentration}
 * - Subsets: {@linkcode truncation}, {@linkcode subsetSizes}, {@linkcode localTruncation},
 *   {@linkcode transportedSteps}, {@linkcode sampledTail}, {@linkcode tailMassBound}
 * - Biased estimates: {@linkcode averagedSoftmax}, {@linkcode averagedSoftmaxErrors}, {@linkcode knnProposal},
 *   {@linkcode knnImportance}
 * - Replacements: {@linkcode gaussianDeviationBound}, {@linkcode lateStartBound}
 *
 * @module
 */
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
