/**
 * The command line: draws samples from a data set to a PNG grid, an array and a run record.
 *
 * ```sh
 * deno task sample --data builtin:shapes --count 64
 * ```
 *
 * Exit codes: 0 done, 1 a failure while running, 2 options or data that cannot be used, 130 interrupted.
 *
 * @module
 */
import { COUNT } from "./base/_defaults.ts";
import { visible, visibleLines } from "./base/_escape.ts";
import { counted, keptOf } from "./cli/certified.ts";
import { openSpace } from "./cli/codec.ts";
import { complain } from "./cli/complain.ts";
import { runCommand } from "./cli/interrupt.ts";
import { openData } from "./cli/data.ts";
import type { RunData } from "./cli/run_data.ts";
import { denoiserOf } from "./cli/denoisers.ts";
import { helpOf } from "./cli/help.ts";
import { Inputs } from "./cli/inputs.ts";
import { optionsOf, parseTexts, UsageError } from "./cli/options.ts";
import type { OptionTexts, RunOptions, RunRequest } from "./cli/options.ts";
import { OutputFolder } from "./cli/output.ts";
import { planRun } from "./cli/plan.ts";
import { seconds, standardError, terminalProgress } from "./cli/progress.ts";
import { inputDigests, recall } from "./cli/recall.ts";
import type { Recalled } from "./cli/recall.ts";
import { dataDigest, runRecord } from "./cli/record.ts";
import { samplerOf } from "./cli/sampler.ts";
import { planTeleport } from "./cli/teleport.ts";
import { someOf, warningsAfter, warningsBefore } from "./cli/warnings.ts";
import { filesOf, writeSamples } from "./cli/write_samples.ts";
import { openDevice } from "./compute/open_device.ts";
import type { Dataset } from "./datasets/dataset.ts";
import type { FileRows } from "./datasets/file_rows.ts";
import { readArrayFile } from "./datasets/_read_array.ts";
import { DatasetError, WriteError } from "./base/errors.ts";
import { numbersOf } from "./compute/batch.ts";
import { extentOf } from "./denoisers/golden/extent.ts";
import { endEstimate } from "./samplers/end_estimate.ts";
import { sample } from "./samplers/sample.ts";

/** Numbers per batch: small items are denoised many at a time. */
const BATCH_NUMBERS = 2 ** 11;

/**
 * Runs the command line.
 *
 * @param args The arguments, as in `Deno.args`.
 * @param signal Interrupts the run, which then leaves no file.
 * @returns The exit code.
 *
 * @example
 * ```ts
 * import { main } from "@closedform/diffusion/cli";
 * import assert from "node:assert/strict";
 *
 * assert.equal(await main(["--steps", "zero"]), 2);
 * ```
 */
export async function main(args: readonly string[], signal?: AbortSignal): Promise<number> {
  try {
    const help = helpOf(args);
    if (help !== undefined) console.log(help.trimEnd());
    else await sampleTo(parseTexts(args), signal);
    return 0;
  } catch (error) {
    const unusable = error instanceof UsageError || error instanceof DatasetError;
    return complain(error, unusable, signal);
  }
}

async function sampleTo(given: OptionTexts, signal?: AbortSignal): Promise<void> {
  const { texts, sameData } = await recall(given, signal);
  const request = optionsOf(texts);
  const inputs = new Inputs({ ...texts, ...(given.from && { from: given.from }) });
  using data = await openData(request, (line) => say(request, line), signal);
  if (sameData) await checkSame(data, sameData, signal);
  const folder = await openOutput(request, data, inputs);
  try {
    await draw(request, data, folder, signal);
  } finally {
    await folder.discard();
  }
}

/** A run can only be repeated on the data it had. */
async function checkSame(
  { dataset, rows }: RunData,
  { file, digest }: NonNullable<Recalled["sameData"]>,
  signal?: AbortSignal,
): Promise<void> {
  const data = rows ?? dataset;
  if (await dataDigest(data, signal) === digest) return;
  throw new UsageError(
    `Cannot repeat ${file}: ${data.summary()}, are other data than those of the record, wanted the same or --data`,
  );
}

async function draw(
  request: RunRequest,
  data: RunData,
  folder: OutputFolder,
  signal?: AbortSignal,
): Promise<void> {
  const tell = (line: string) => say(request, line);
  const inputs = await inputDigests(request.texts, signal);
  using device = await openDevice(request.device);
  using space = await openSpace(data, request.codec, tell, signal);
  const init = request.init === undefined
    ? undefined
    : await readInit(request.init, request, space.data.dataset, signal);
  const count = init?.count ?? request.count ?? COUNT;
  tell(`${device.kind}: ${device.description} (${device.reason})`);
  const { rows } = data;
  if (rows) {
    tell(
      `the data stay on disk and are read once per step, and once for their digest: ${rows.summary()}`,
    );
    // First, so that every step is held against it.
    await rows.digest(signal);
  }
  await checkInputs(inputs, request, signal);
  const options = await planRun(request, space.data, device, tell, signal);
  const warnings: string[] = [];
  const warn = (lines: readonly string[]) => {
    warnings.push(...lines);
    for (const line of lines) tell(`warning: ${line}`);
  };
  const some = someOf(space.data.dataset), { spread } = extentOf(some);
  warn(warningsBefore(some, spread, options));
  using denoiser = await denoiserOf(space.data, device, options, signal);
  const { sampler: method, statistics } = await samplerOf(
    space.data,
    denoiser,
    options,
    tell,
    signal,
  );
  using jump = await planTeleport(space.data, options, method, denoiser, tell, signal);
  if (jump) tell(jump.summary);
  const { sampler, grid } = jump ?? { sampler: method, grid: options.grid };
  const { tolerance } = options.subset;
  const watched = tolerance === undefined ? undefined : counted(denoiser);
  const result = await sample(watched?.denoiser ?? denoiser, {
    count,
    sampler,
    grid,
    seed: options.seed,
    init: init?.values,
    batchSize: Math.max(64, Math.floor(BATCH_NUMBERS / space.data.dataset.dimension)),
    trajectory: options.trajectory,
    output: "tensor",
    signal,
    onProgress: options.quiet ? undefined : terminalProgress(standardError()),
  });
  const again = { sampler, grid, seed: options.seed, init: init?.values, signal };
  const kept = watched &&
    keptOf(watched.means, tolerance!, await endEstimate(denoiser, result, again));
  const dataset = rows ?? data.dataset;
  const parts = {
    options: { ...options, sampler, grid },
    dataset,
    device,
    denoiser,
    codec: space.codec,
    count,
  };
  const states = await numbersOf(result.x);
  warn(warningsAfter(states, some, spread, result.convergence));
  warn(kept?.warnings ?? []);
  const record = {
    ...await runRecord(parts, result),
    ...(Object.keys(inputs).length > 0 && { inputs }),
    warnings,
    ...kept?.record,
    ...(statistics && { statistics }),
    ...(jump && { teleport: jump.record(result) }),
  };
  await writeSamples(folder, result, { options, dataset: data.dataset, space, count });
  const whole = { ...record, files: folder.digests };
  await folder.write("run.json", JSON.stringify(whole, null, 2) + "\n");
  signal?.throwIfAborted();
  const names = await folder.commit();
  try {
    report(options, dataset, whole, count, result.seconds, names, kept?.line);
  } catch (cause) {
    // Whoever closed the pipe has read enough.
    if (cause instanceof Deno.errors.BrokenPipe) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(
      `Cannot write to standard output: ${reason}, but the files are whole: ${names.join(", ")}`,
      { cause },
    );
  }
}

/** What was read besides the data must be what the record will say. */
async function checkInputs(
  digests: Readonly<Record<string, string>>,
  { texts }: RunRequest,
  signal?: AbortSignal,
): Promise<void> {
  for (const [name, digest] of Object.entries(await inputDigests(texts, signal))) {
    if (digests[name] === digest) continue;
    throw new DatasetError(
      String(texts[name]),
      "other contents than a moment before",
      "a file that nothing writes to while it is read",
    );
  }
}

async function readInit(
  path: string,
  options: RunRequest,
  dataset: Dataset,
  signal?: AbortSignal,
): Promise<{ count: number; values: ArrayLike<number> }> {
  const { data, shape } = await readArrayFile(path, signal);
  const [count = 0] = shape;
  const rows = options.count ?? "count";
  const wanted = `[${rows}, ${dataset.shape.join(", ")}] or [${rows}, ${dataset.dimension}]`;
  const fits = data instanceof Float32Array && shape.length > 1 && count > 0 &&
    isShape(shape.slice(1), dataset) && (options.count ?? count) === count;
  if (!fits) {
    const type = data.constructor.name.replace("Array", "").toLowerCase();
    throw new DatasetError(
      path,
      `${type} numbers of shape [${shape.join(", ")}]`,
      `float32 numbers of shape ${wanted}`,
    );
  }
  const bad = data.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0) throw new DatasetError(path, `${data[bad]} at position ${bad}`, "finite numbers");
  return { count, values: data };
}

/** Whether items are of the data's shape, but for sides of 1, which move no number, or flat. */
function isShape(item: readonly number[], { shape, dimension }: Dataset): boolean {
  const sides = (axes: readonly number[]) => axes.filter((n) => n !== 1).join();
  return sides(item) === sides(shape) || sides(item) === sides([dimension]);
}

async function openOutput(
  { out, overwrite, ...options }: RunRequest,
  { dataset }: RunData,
  inputs: Inputs,
): Promise<OutputFolder> {
  try {
    return await OutputFolder.open(out, { files: filesOf(options, dataset), inputs, overwrite });
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    throw new UsageError(`${error.message}, wanted a folder that takes files`);
  }
}

function say({ quiet }: RunRequest, line: string): void {
  if (!quiet) console.error(visible(line));
}

/** How the samples were reached, in a few words. */
function wayOf(
  { steps, sampler, grid }: RunOptions,
  { convergence, evaluations, calls }: Record<string, unknown>,
): string {
  return convergence
    ? `by ${sampler} between the ends of the ${grid.name} grid, ${
      Number(evaluations).toFixed(0)
    } evaluations per sample in ${calls} calls`
    : `in ${steps} ${sampler} steps on the ${grid.name} grid`;
}

function report(
  options: RunOptions,
  dataset: Dataset | FileRows,
  record: Record<string, unknown>,
  count: number,
  time: number,
  paths: readonly string[],
  certified: string | undefined,
): void {
  if (options.json) console.log(visibleLines(JSON.stringify(record, null, 2)));
  if (options.json || options.quiet) return;
  console.log(
    `${count} sample${count === 1 ? "" : "s"} of ${visible(dataset.summary())}\n` +
      `${wayOf(options, record)}, seed ${options.seed}, ${seconds(time)}:`,
  );
  for (const path of paths) console.log(`  ${visible(path)}`);
  if (certified) console.log(certified);
}

if (import.meta.main) {
  await runCommand((signal) => main(Deno.args, signal));
}
