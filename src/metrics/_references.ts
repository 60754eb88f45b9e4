/**
 * The papers behind the metrics, for `cite()`.
 *
 * @module
 */
import { agreement, denoiserAgreement } from "./agreement.ts";
import { assignment } from "./assignment.ts";
import { energyDistance, mmd } from "./discrepancy.ts";
import { explainedScore, explainedVariance } from "./explained_variance.ts";
import { frechetDistance } from "./frechet.ts";
import { memorisedDistance, memorisedShare } from "./nearest.ts";
import { pearson, rSquared } from "./pairs.ts";
import { precisionRecall } from "./precision_recall.ts";
import { sinkhorn, sinkhornDivergence } from "./sinkhorn.ts";
import { slicedWasserstein2 } from "./sliced_wasserstein.ts";
import { wasserstein2, wasserstein2OnLine } from "./wasserstein.ts";

export const LOCALITY =
  "A. Lukoianov, C. Yuan, J. Solomon, V. Sitzmann (2025), Locality in image diffusion models emerges from data statistics, arXiv:2509.09672";
export const CREATIVITY =
  "M. Kamb, S. Ganguli (2024), An analytic theory of creativity in convolutional diffusion models, arXiv:2412.20292";
export const GAUSSIAN_SCORE =
  "B. Wang, J. Vastola (2024), The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications, arXiv:2412.09726";
const TRANSPORT =
  "G. Peyré, M. Cuturi (2019), Computational optimal transport, Foundations and Trends in Machine Learning 11, 355-607";

const REFERENCES = new Map<unknown, readonly string[]>([
  [agreement, [LOCALITY, CREATIVITY]],
  [denoiserAgreement, [LOCALITY, CREATIVITY]],
  [rSquared, [LOCALITY]],
  [pearson, [CREATIVITY]],
  [assignment, [
    "R. Jonker, A. Volgenant (1987), A shortest augmenting path algorithm for dense and sparse linear assignment problems, Computing 38, 325-340",
  ]],
  [energyDistance, [
    "G. Székely, M. Rizzo (2013), Energy statistics: a class of statistics based on distances, J. Statistical Planning and Inference 143, 1249-1272",
  ]],
  [mmd, [
    "A. Gretton, K. Borgwardt, M. Rasch, B. Schölkopf, A. Smola (2012), A kernel two-sample test, J. Machine Learning Research 13, 723-773",
  ]],
  [explainedVariance, [GAUSSIAN_SCORE]],
  [explainedScore, [GAUSSIAN_SCORE]],
  [frechetDistance, [
    "M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter (2017), GANs trained by a two time-scale update rule converge to a local Nash equilibrium, arXiv:1706.08500",
  ]],
  [memorisedShare, [
    "X. Gu, C. Du, T. Pang, C. Li, M. Lin, Y. Wang (2023), On memorization in diffusion models, arXiv:2310.02664",
  ]],
  [memorisedDistance, ["MM-SOLD, arXiv:2605.14276"]],
  [precisionRecall, [
    "T. Kynkäänniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila (2019), Improved precision and recall metric for assessing generative models, arXiv:1904.06991",
  ]],
  [sinkhorn, [
    "M. Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport, arXiv:1306.0895",
    "J. Altschuler, J. Weed, P. Rigollet (2017), Near-linear time approximation algorithms for optimal transport via Sinkhorn iteration, arXiv:1705.09634",
  ]],
  [sinkhornDivergence, [
    "J. Feydy, T. Séjourné, F.-X. Vialard, S. Amari, A. Trouvé, G. Peyré (2018), Interpolating between optimal transport and MMD using Sinkhorn divergences, arXiv:1810.08278",
  ]],
  [slicedWasserstein2, [
    "N. Bonneel, J. Rabin, G. Peyré, H. Pfister (2015), Sliced and Radon Wasserstein barycenters of measures, J. Mathematical Imaging and Vision 51, 22-45",
  ]],
  [wasserstein2, [TRANSPORT]],
  [wasserstein2OnLine, [TRANSPORT]],
]);

/** The papers of a metric, by its function; nothing for what is no metric, or one without a paper. */
export function referencesOfMetric(metric: unknown): readonly string[] | undefined {
  return REFERENCES.get(metric);
}

/** Keeps the papers of a function that stands on metrics. */
export function keepReferences(compare: unknown, references: readonly string[]): void {
  REFERENCES.set(compare, references);
}
