/**
 * What a run of a sampler gives.
 *
 * @module
 */
import { showsItself } from "../base/_display.ts";
import { medianOf } from "../base/_quantile.ts";
import type { PosteriorFacts } from "../compute/posterior.ts";
import { Dataset } from "../datasets/dataset.ts";
import type { Convergence } from "./sampler.ts";
import type { TeleportFacts } from "./teleport/plan.ts";

/** What is known of one step of a run, over all samples. */
export interface StepRecord {
  /** The step, from 1. */
  readonly step: number;
  /** The noise level it started from. */
  readonly sigma: number;
  /** Seconds it took, summed over the batches. */
  readonly seconds: number;
  /** Denoiser evaluations per sample after it. */
  readonly evaluations: number;
  /**
   * Facts of the posterior at the state that the step started from, one value per sample, if the denoiser knows
   * them and was called for all samples at that level of the grid.
   */
  readonly facts?: Partial<PosteriorFacts>;
}

/** A state on the way, of all samples. */
export interface TrajectoryPoint {
  /** Its noise level; of batches that a method with steps of its own took to different ones, the largest. */
  readonly sigma: number;
  /** The states, `count` rows. */
  readonly x: Float32Array | Float64Array;
  /** What the denoiser makes of them, `D(x, σ)`, each at its own level where batches differ: the states themselves at noise level 0. */
  readonly denoised: Float32Array | Float64Array;
}

/** What `sample()` returns as tensors, or arrays on float64 states. It shows itself at the end of a notebook cell. */
export interface SampleResult<X> {
  /** The shape of one sample. */
  readonly shape: readonly number[];
  /** The final states, `[count, …shape]`, in data units. */
  readonly x: X;
  /** The last denoiser outputs. Equal to `x` when the grid ends at 0. */
  readonly denoised: X;
  /** Denoiser evaluations per sample; their mean where samples differ. */
  readonly evaluations: number;
  /** Batched denoiser calls, one after the other, of all batches. */
  readonly calls: number;
  /** How well it converged, one value per sample, of a method that iterates or adapts its steps. */
  readonly convergence?: Convergence;
  /** Wall-clock seconds. */
  readonly seconds: number;
  /** One record per step. */
  readonly steps: readonly StepRecord[];
  /** What is known of its teleport, if it had one. */
  readonly teleport?: TeleportFacts;
  /** The start state and the state after each step, if asked for. */
  readonly trajectory?: readonly TrajectoryPoint[];
}

/** A fact of a posterior. */
export type FactName = keyof PosteriorFacts;

/** One step of a run: the median over the samples of each fact that the denoiser knows, and all values. */
export interface StepFacts extends Partial<Readonly<Record<FactName, number>>> {
  /** The step, from 1. */
  readonly step: number;
  /** The noise level it started from. */
  readonly sigma: number;
  /** Seconds it took, summed over the batches. */
  readonly seconds: number;
  /** Denoiser evaluations per sample after it. */
  readonly evaluations: number;
  /** The facts at the state that the step started from, one value per sample; empty where the denoiser does not know them. */
  readonly values: Readonly<Record<FactName, ArrayLike<number>>>;
}

/** What `sample()` returns: plain numbers, nothing to dispose. It shows itself at the end of a notebook cell. */
export interface Run {
  /** The samples, in data units. */
  readonly samples: Dataset;
  /** The last denoiser outputs. Equal to the samples where the grid ends at 0. */
  readonly denoised: Dataset;
  /** The shape of one sample. */
  readonly shape: readonly number[];
  /** One row per step, a table. */
  readonly facts: readonly StepFacts[];
  /** Denoiser evaluations per sample; their mean where samples differ. */
  readonly evaluations: number;
  /** Batched denoiser calls, one after the other, of all batches. */
  readonly calls: number;
  /** How well it converged, one value per sample, of a method that iterates or adapts its steps. */
  readonly convergence?: Convergence;
  /** What is known of its teleport, if it had one. */
  readonly teleport?: TeleportFacts;
  /** Wall-clock seconds. */
  readonly seconds: number;
  /** The start state and the state after each step, if asked for. */
  readonly trajectory?: readonly TrajectoryPoint[];
}

const NAMES: readonly FactName[] = [
  "logNormaliser",
  "topLogit",
  "logitGap",
  "topIndex",
  "effectiveSampleSize",
  "entropy",
  "subsetSize",
  "subsetGap",
  "capturedMass",
  "errorBound",
  "certified",
];

/** What the columns of the table of facts are called; of the others there are too many for one. */
const COLUMNS: Partial<Record<FactName, string>> = {
  subsetSize: "k",
  logitGap: "gap",
  effectiveSampleSize: "effective items",
  capturedMass: "captured mass",
  errorBound: "bound",
};

/** The facts of all steps as rows of a table, which shows itself. */
export function factsOf(steps: readonly StepRecord[]): readonly StepFacts[] {
  const rows = steps.map(({ facts = {}, ...step }) => {
    const values = Object.fromEntries(
      NAMES.map((name) => [name, facts[name] ?? new Float64Array()]),
    );
    const medians = NAMES.filter((name) => facts[name] && name !== "topIndex")
      .map((name) => [name, medianOf(facts[name]!)]);
    const row = { ...step, ...Object.fromEntries(medians) };
    // Medians are what a table shows.
    return Object.defineProperty(row, "values", { value: values }) as StepFacts;
  });
  return showsItself(rows, () => [rows.map(tableRow)]);
}

function tableRow(row: StepFacts): Record<string, number> {
  const { step, sigma, evaluations } = row;
  const known = Object.entries(COLUMNS).filter(([name]) => row[name as FactName] !== undefined)
    .map(([name, column]) => [column, row[name as FactName]]);
  return { step, sigma, evaluations, ...Object.fromEntries(known) };
}

/** Lets a trajectory show itself, which knows its shape then. */
export function showTrajectory(
  trajectory: readonly TrajectoryPoint[],
  shape: readonly number[],
  range: readonly [number, number] | undefined,
): void {
  showsItself(trajectory, () => [{ trajectory: [...trajectory], shape, range }]);
}

/** Samples as a data set. */
export function samplesOf(
  data: Float32Array | Float64Array,
  shape: readonly number[],
  name: string,
  range: readonly [number, number] = [-1, 1],
): Dataset {
  return new Dataset({ data, shape, name, range });
}
