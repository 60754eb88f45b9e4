/**
 * The record of a run: everything needed to repeat and to judge it.
 *
 * @module
 */
import { version_core as tfjsVersion } from "@tensorflow/tfjs-core";
import config from "../../deno.json" with { type: "json" };
import type { Device } from "../compute/device.ts";
import type { PosteriorFacts } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { FileRows } from "../datasets/file_rows.ts";
import type { SampleResult } from "../samplers/sample.ts";
import type { Convergence, Sampler } from "../samplers/sampler.ts";
import type { RunOptions } from "./options.ts";

/** What `run.json` holds, ready for `JSON.stringify`. */
export function runRecord(
  options: Omit<RunOptions, "sampler"> & { readonly sampler: Sampler },
  dataset: Dataset | FileRows,
  device: Device,
  denoiser: { label: string; references: readonly string[] },
  result: SampleResult<unknown>,
  count: number,
): Record<string, unknown> {
  const { sampler, grid } = options;
  return {
    package: `${config.name}@${config.version}`,
    versions: { deno: Deno.version.deno, v8: Deno.version.v8, tfjs: tfjsVersion },
    date: new Date().toISOString(),
    options: { ...options, sampler: sampler.name, grid: grid.name, count },
    data: {
      name: dataset.name,
      count: dataset.count,
      shape: dataset.shape,
      type: isBytes(dataset) ? "uint8" : "float32",
      range: dataset.range,
      streamed: !("data" in dataset),
    },
    device: { kind: device.kind, description: device.description, reason: device.reason },
    denoiser: denoiser.label,
    sampler: { name: sampler.name, order: sampler.order },
    references: [...denoiser.references, ...sampler.references],
    sigmas: grid.sigmas,
    start: { scale: grid.startScale, atMean: grid.startAtMean },
    evaluations: result.evaluations,
    calls: result.calls,
    ...(result.convergence && { convergence: convergence(result.convergence) }),
    seconds: result.seconds,
    steps: result.steps.map(({ step, sigma, seconds, evaluations, facts }) => ({
      step,
      sigma,
      seconds,
      evaluations,
      ...(facts && { posterior: summary(facts) }),
    })),
    ...nearest(result, options),
  };
}

function isBytes(dataset: Dataset | FileRows): boolean {
  return "data" in dataset ? dataset.data instanceof Uint8Array : dataset.bytes;
}

/** Each fact over the samples. */
function summary({ topIndex: _, ...facts }: PosteriorFacts) {
  return Object.fromEntries(
    Object.entries(facts).map(([name, values]: [string, Float64Array]) => [name, spread(values)]),
  );
}

/** Counts and estimates over the samples, and how many of them converged. */
function convergence({ converged, ...facts }: Convergence) {
  const { evaluations, windows, rejected, sweeps, estimatedError } = facts;
  return {
    evaluations: spread(evaluations),
    windows: spread(windows),
    rejected: spread(rejected),
    sweeps: spread(sweeps),
    estimatedError: spread(estimatedError),
    converged: converged.filter((c) => c).length,
  };
}

/** Smallest, median and largest value. */
function spread(values: Float64Array | Int32Array) {
  const sorted = values.toSorted();
  const middle = (sorted.length - 1) / 2;
  return {
    min: sorted[0],
    median: (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2,
    max: sorted[sorted.length - 1],
  };
}

/** The item, of a mixture the component, that weighs most at the last step, for each sample. */
function nearest({ steps }: SampleResult<unknown>, { denoiser }: Pick<RunOptions, "denoiser">) {
  const facts = steps.at(-1)?.facts;
  const name = denoiser === "mixture" ? "topComponent" : "topItem";
  return facts ? { [name]: [...facts.topIndex] } : {};
}
