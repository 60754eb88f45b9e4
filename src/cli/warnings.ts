/**
 * What is allowed but hardly wanted, in one line each.
 *
 * @module
 */
import type { Dataset } from "../datasets/dataset.ts";
import type { Convergence } from "../samplers/sampler.ts";
import type { RunOptions } from "./options.ts";
import { rounded, UsageError } from "./values.ts";

/** The largest share of the start noise that data may have for it to be noise: variances then add up to 4 % more. */
const MOST_OF_START = 0.2;
/** Distances of items to their mean from which float32 still tells them apart: rounding of logits is 1e-4 of their differences. */
const MOST_WIDTHS = 1000;
/** By what factor samples may spread less or more than data. */
const MOST_APART = 20;
/** Items that tell sizes well enough to be compared by such factors; to read all of a large set takes as long as a step. */
const MOST_ITEMS = 4096;

/**
 * What stands for the data in the warnings: all items of a small set, or some that are spread evenly over it.
 *
 * @param dataset The data in the space that the run works in.
 */
export function someOf(dataset: Dataset): Dataset {
  const { count } = dataset;
  if (count <= MOST_ITEMS) return dataset;
  return dataset.subset(
    Uint32Array.from({ length: MOST_ITEMS }, (_, k) => Math.floor(k * count / MOST_ITEMS)),
  );
}

/**
 * What the options mean for the data.
 *
 * @param dataset What {@linkcode someOf} takes of the data.
 * @param spread Their mean squared distance to their mean.
 * @param options The options, with all that the data decided.
 * @throws {UsageError} If a bandwidth is so large that samples would be wrong.
 */
export function warningsBefore(dataset: Dataset, spread: number, options: RunOptions): string[] {
  const { grid, smoothing, baseline } = options, { sigmas, startAtMean, startAtData } = grid;
  const mean = dataset.mean().reduce((sum, v) => sum + v * v, 0);
  const width = typeof baseline?.bandwidth === "number" ? baseline.bandwidth : 0;
  const deviation = Math.sqrt(spread / dataset.dimension);
  const size = Math.hypot(
    Math.sqrt((spread + (startAtMean ? 0 : mean)) / dataset.dimension),
    width,
  );
  const last = sigmas.findLast((sigma) => sigma > 0)!;
  const warnings: string[] = [];
  if (!startAtData && size > MOST_OF_START * sigmas[0]) {
    const what = width > deviation ? "the kernel is" : "the data are";
    warnings.push(
      `${what} ${rounded(size)} in size and start from noise of ${
        rounded(sigmas[0])
      }, which should be 5 times larger: samples will spread less`,
    );
  }
  if (spread > 0 && Math.hypot(deviation, width) < last) {
    warnings.push(
      `the data vary by ${rounded(deviation)}, less than the last noise level ${
        rounded(last)
      }: samples will end near the mean`,
    );
  }
  const gumbel = smoothing?.drawKind === "gumbel";
  const most = MOST_WIDTHS * Math.sqrt(spread);
  if (smoothing && !gumbel && spread > 0 && smoothing.bandwidth > most) {
    throw new UsageError(
      `Cannot use --bandwidth ${
        rounded(smoothing.bandwidth)
      }: float32 tells no items apart from so far, wanted at most ${rounded(most)}`,
    );
  }
  if (smoothing && smoothing.bandwidth > (gumbel ? spread : Math.sqrt(spread))) {
    warnings.push(
      `the ${gumbel ? "variance" : "bandwidth"} ${
        rounded(smoothing.bandwidth)
      } is wider than the data: samples will be means of the farthest items`,
    );
  }
  return warnings;
}

/**
 * What samples look like.
 *
 * @param samples The end states of a run, rows of numbers.
 * @param dataset The data in the space that the run works in.
 * @param spread Their mean squared distance to their mean.
 * @param convergence What the sampler knows of its errors, if it does.
 */
export function warningsAfter(
  samples: ArrayLike<number>,
  { dimension }: Dataset,
  spread: number,
  convergence: Convergence | undefined,
): string[] {
  const warnings: string[] = [];
  const missed = convergence?.converged.filter((met) => !met).length ?? 0;
  if (missed > 0) {
    warnings.push(
      `${missed} of ${convergence!.converged.length} samples missed the tolerance of the sampler`,
    );
  }
  const found = deviationOf(samples, dimension);
  const wanted = Math.sqrt(spread / dimension);
  const apart = found > wanted ? found / wanted : wanted / found;
  if (samples.length > dimension && wanted > 0 && apart > MOST_APART) {
    warnings.push(
      `the samples vary by ${rounded(found)} per number, the data by ${rounded(wanted)}`,
    );
  }
  return warnings;
}

/** The root mean square distance of rows to their mean, per number. */
function deviationOf(rows: ArrayLike<number>, dimension: number): number {
  const count = rows.length / dimension, mean = new Float64Array(dimension);
  for (let at = 0; at < rows.length; at++) mean[at % dimension] += rows[at] / count;
  let sum = 0;
  for (let at = 0; at < rows.length; at++) sum += (rows[at] - mean[at % dimension]) ** 2;
  return Math.sqrt(sum / rows.length);
}
