/**
 * The record of a run: everything needed to repeat and to judge it.
 *
 * @module
 */
import { version_core as tfjsVersion } from "@tensorflow/tfjs-core";
import { cacheKey } from "../base/_cache_file.ts";
import { cite } from "../notebook/cite.ts";
import type { Codec } from "../codecs/codec.ts";
import type { Device } from "../compute/device.ts";
import type { PosteriorFacts } from "../compute/posterior.ts";
import type { Dataset } from "../datasets/dataset.ts";
import type { FileRows } from "../datasets/file_rows.ts";
import type { SampleResult } from "../samplers/run.ts";
import type { Convergence, Sampler } from "../samplers/sampler.ts";
import type { RunOptions } from "./options.ts";
import { PACKAGE } from "./package.ts";
import { recordedTexts } from "./recall.ts";

/** What a record is made of, besides what the run gave. */
export interface RunParts {
  /** The options; the sampler is the one that ran. */
  readonly options: Omit<RunOptions, "sampler"> & { readonly sampler: Sampler };
  /** The data. */
  readonly dataset: Dataset | FileRows;
  /** Where it ran. */
  readonly device: Device;
  /** The denoiser. */
  readonly denoiser: { readonly label: string; readonly references: readonly string[] };
  /** The way to the latents it ran in, if it did. */
  readonly codec?: Codec;
  /** The number of samples. */
  readonly count: number;
}

/** What `run.json` holds, ready for `JSON.stringify`. */
export async function runRecord(
  { options, dataset, device, denoiser, codec, count }: RunParts,
  result: SampleResult<unknown>,
): Promise<Record<string, unknown>> {
  const { sampler, grid, texts, gridName: _, ...parsed } = options;
  return {
    package: PACKAGE,
    versions: { deno: Deno.version.deno, v8: Deno.version.v8, tfjs: tfjsVersion },
    date: new Date().toISOString(),
    arguments: recordedTexts(texts, device.kind),
    options: { ...parsed, sampler: sampler.name, grid: grid.name, count },
    data: {
      name: dataset.name,
      count: dataset.count,
      shape: dataset.shape,
      type: isBytes(dataset) ? "uint8" : "float32",
      range: dataset.range,
      streamed: !("data" in dataset),
      sha256: await dataDigest(dataset),
    },
    ...(codec && { codec: { label: codec.label, latentDimension: codec.latentDimension } }),
    device: { kind: device.kind, description: device.description, reason: device.reason },
    denoiser: denoiser.label,
    sampler: { name: sampler.name, order: sampler.order },
    references: cite(denoiser, sampler, ...(codec ? [codec] : [])).references,
    sigmas: grid.sigmas,
    start: {
      scale: grid.startScale,
      atMean: grid.startAtMean,
      atData: grid.startAtData ?? false,
    },
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

/** The SHA-256 of the items and their shape, in hexadecimal digits; of those on disk it takes one reading. */
export async function dataDigest(
  dataset: Dataset | FileRows,
  signal?: AbortSignal,
): Promise<string> {
  if (!("data" in dataset)) return await dataset.digest(signal);
  const { data, shape, range } = dataset;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return (await cacheKey(JSON.stringify([shape, range]), bytes)).toHex();
}

function isBytes(dataset: Dataset | FileRows): boolean {
  return "data" in dataset ? dataset.data instanceof Uint8Array : dataset.bytes;
}

/** Each fact over the samples. */
function summary({ topIndex: _, ...facts }: Partial<PosteriorFacts>) {
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
  const top = steps.at(-1)?.facts?.topIndex;
  const name = denoiser === "mixture" ? "topComponent" : "topItem";
  return top ? { [name]: [...top] } : {};
}
