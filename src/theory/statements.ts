/**
 * All statements, and the command that evaluates them: `deno task theory`.
 *
 * @module
 */
import { averagedSoftmaxBias, averagedSoftmaxGrowth } from "./averaged_softmax.ts";
import { carriedProducts } from "./carried_products.ts";
import { costAfterCollapse, costInPoints } from "./collocation_cost.ts";
import { costWithoutDimension, logarithmicCost } from "./collocation_cost.ts";
import { deviationBound } from "./deviation_bound.ts";
import { gaussianClosedForm, gaussianSemigroup } from "./gaussian_closed_form.ts";
import { gaussianLimit } from "./gaussian_limit.ts";
import { denoiserAlongFlow, informationIdentity } from "./information.ts";
import { informationOfTwoPoints } from "./information.ts";
import { initialisationBias } from "./initialisation_bias.ts";
import { knnImportanceRate } from "./knn_importance.ts";
import { equivariance, equivariantIsOptimal } from "./local_machines.ts";
import { localIsOptimal, mosaicLimit } from "./local_machines.ts";
import { globalSubsetIsNotLocal, localTruncationBound } from "./local_truncation.ts";
import { antitheticStart, lateStartBounded, lateStartTight } from "./late_start.ts";
import { linearTraining, preconditionedTraining } from "./linear_training.ts";
import { oneUpdate } from "./one_update.ts";
import { rareAmplification, roundedDenoiser } from "./perturbed_flow.ts";
import { separatrixAmplification, smoothErrors } from "./perturbed_flow.ts";
import { meanLimit, nearestLimit } from "./posterior_limits.ts";
import { entropyRate, progressiveConcentration } from "./progressive_concentration.ts";
import { quantilesAreKept } from "./quantiles.ts";
import { sampledTailBias, sampledTailUnbiased, tailMassCovered } from "./sampled_tail.ts";
import { fittedGaussianInOneStep, picardIsDdim, samplerIdentities } from "./sampler_identities.ts";
import { publishedThirdOrder, samplerOrders } from "./sampler_orders.ts";
import {
  antitheticPair,
  bandwidthRule,
  exactSmoothing,
  gumbelModes,
  mergingBandwidth,
  twoPointLaw,
} from "./smoothed_limits.ts";
import {
  barycenterForm,
  barycentricSupport,
  fixedPointSupport,
  oneDrawMemorises,
  samplesInHull,
  supportRises,
  tupleIdentity,
} from "./smoothed_support.ts";
import { gaussNodesDecay, spectralDecayInNodes, sweepsDecay } from "./spectral_decay.ts";
import type { Report } from "./statement.ts";
import { straightenedExact, straightenedIsDdim } from "./straightened.ts";
import { teleportExact } from "./teleport_exact.ts";
import { teleportDisplacement, teleportFinalError } from "./third_cumulant_law.ts";
import { thirdCumulantLaw } from "./third_cumulant_law.ts";
import { trajectoryError } from "./trajectory_error.ts";
import { transportedCertificate } from "./transported_certificate.ts";
import {
  sufficientSubset,
  truncationBounds,
  truncationIdentity,
  truncationVanishes,
} from "./truncation_statements.ts";

/**
 * Every statement of the theory, by its name.
 *
 * @example
 * ```ts
 * import { STATEMENTS } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.ok((await STATEMENTS.quantilesAreKept()).holds);
 * ```
 */
export const STATEMENTS: Readonly<Record<string, () => Report | Promise<Report>>> = {
  oneUpdate,
  quantilesAreKept,
  samplerIdentities,
  picardIsDdim,
  fittedGaussianInOneStep,
  samplerOrders,
  publishedThirdOrder,
  meanLimit,
  nearestLimit,
  gaussianLimit,
  truncationIdentity,
  truncationBounds,
  truncationVanishes,
  sufficientSubset,
  trajectoryError,
  transportedCertificate,
  carriedProducts,
  localTruncationBound,
  globalSubsetIsNotLocal,
  localIsOptimal,
  equivariance,
  equivariantIsOptimal,
  mosaicLimit,
  progressiveConcentration,
  entropyRate,
  averagedSoftmaxBias,
  averagedSoftmaxGrowth,
  sampledTailUnbiased,
  sampledTailBias,
  tailMassCovered,
  knnImportanceRate,
  barycenterForm,
  tupleIdentity,
  samplesInHull,
  barycentricSupport,
  fixedPointSupport,
  supportRises,
  oneDrawMemorises,
  twoPointLaw,
  antitheticPair,
  exactSmoothing,
  mergingBandwidth,
  gumbelModes,
  bandwidthRule,
  lateStartBounded,
  lateStartTight,
  antitheticStart,
  spectralDecayInNodes,
  gaussNodesDecay,
  sweepsDecay,
  logarithmicCost,
  costWithoutDimension,
  costAfterCollapse,
  costInPoints,
  informationIdentity,
  informationOfTwoPoints,
  denoiserAlongFlow,
  smoothErrors,
  roundedDenoiser,
  separatrixAmplification,
  rareAmplification,
  gaussianClosedForm,
  gaussianSemigroup,
  initialisationBias,
  teleportExact,
  thirdCumulantLaw,
  teleportDisplacement,
  teleportFinalError,
  deviationBound,
  linearTraining,
  preconditionedTraining,
  straightenedExact,
  straightenedIsDdim,
};

/**
 * A table of reports: statement, measured, bound, margin, holds.
 *
 * @param reports The reports.
 * @returns The table as text.
 *
 * @example
 * ```ts
 * import { report, theoryTable } from "@closedform/diffusion/theory";
 * import assert from "node:assert/strict";
 *
 * assert.match(theoryTable([report("one is at most two", 1, 2)]), /one is at most two.*yes/);
 * ```
 */
export function theoryTable(reports: readonly Report[]): string {
  const number = (v: number) => v.toExponential(2);
  const rows = reports.map(({ statement, measured, bound, holds }) => [
    statement,
    number(measured),
    number(bound),
    number(bound - measured),
    holds ? "yes" : "NO",
  ]);
  const table = [["statement", "measured", "bound", "margin", "holds"], ...rows];
  const widths = table[0].map((_, c) => Math.max(...table.map((row) => row[c].length)));
  return table.map((row) =>
    row.map((cell, c) => c ? cell.padStart(widths[c]) : cell.padEnd(widths[c])).join("  ")
  )
    .join("\n");
}

if (import.meta.main) {
  const reports: Report[] = [];
  for (const statement of Object.values(STATEMENTS)) reports.push(await statement());
  console.log(theoryTable(reports));
  Deno.exit(reports.every(({ holds }) => holds) ? 0 : 1);
}
