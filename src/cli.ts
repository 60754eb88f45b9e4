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
import { openData } from "./cli/data.ts";
import { denoiserOf } from "./cli/denoisers.ts";
import { OutputFolder } from "./cli/output.ts";
import { HELP, parseOptions, UsageError } from "./cli/options.ts";
import type { RunOptions } from "./cli/options.ts";
import { samplesPicture, trajectoryPicture } from "./cli/pictures.ts";
import { seconds, standardError, terminalProgress } from "./cli/progress.ts";
import { runRecord } from "./cli/record.ts";
import { samplerOf } from "./cli/sampler.ts";
import { planTeleport } from "./cli/teleport.ts";
import { openDevice } from "./compute/open_device.ts";
import type { Dataset } from "./datasets/dataset.ts";
import type { FileRows } from "./datasets/file_rows.ts";
import { decodeNpy, encodeNpy } from "./datasets/npy.ts";
import { DatasetError } from "./errors.ts";
import { tensorSpace } from "./linear_space.ts";
import { encodePng } from "./plots/bitmap.ts";
import { sample } from "./samplers/sample.ts";

/** Failed before any work was done: nothing but the user can mend it. */
const UNUSABLE = 2;
const FAILED = 1;
const INTERRUPTED = 130;

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
  let options: RunOptions | "help";
  try {
    options = parseOptions(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return complain(error, UNUSABLE);
  }
  if (options === "help") {
    console.log(HELP);
    return 0;
  }
  try {
    await run(options, signal);
    return 0;
  } catch (error) {
    if (signal?.aborted) return complain("Interrupted: nothing was written", INTERRUPTED);
    const unusable = error instanceof UsageError || error instanceof DatasetError;
    return complain(error, unusable ? UNUSABLE : FAILED);
  }
}

function complain(error: unknown, code: number): number {
  const message = error instanceof Error ? error.message : String(error);
  // A bar may stand on the line.
  if (Deno.stderr.isTerminal()) standardError().write("\r\x1b[K");
  console.error(message.replaceAll(/\s*\n\s*/g, " "));
  return code;
}

async function run(options: RunOptions, signal?: AbortSignal): Promise<void> {
  using data = await openData(options, signal);
  const { dataset, rows } = data;
  const init = options.init === undefined
    ? undefined
    : await readInit(options.init, options, dataset);
  const count = init?.count ?? options.count ?? 64;
  const folder = await openOutput(options.out);
  try {
    using device = await openDevice(options.device);
    say(options, `${device.kind}: ${device.description} (${device.reason})`);
    if (rows) say(options, `the data stay on disk and are read once per step: ${rows.summary()}`);
    using denoiser = await denoiserOf(data, device, options, signal);
    const tell = (line: string) => say(options, line);
    const method = await samplerOf(data, denoiser, options, tell, signal);
    using jump = await planTeleport(data, options, method, tell, signal);
    if (jump) tell(jump.summary);
    const { sampler, grid } = jump ?? { sampler: method, grid: options.grid };
    const result = await sample(denoiser, {
      count,
      sampler,
      grid,
      seed: options.seed,
      init: init?.values,
      trajectory: options.trajectory,
      signal,
      onProgress: options.quiet ? undefined : terminalProgress(standardError()),
    });
    const values = await tensorSpace.values(result.x);
    const samples = values instanceof Float32Array ? values : Float32Array.from(values);
    tensorSpace.dispose(result.x, result.denoised);
    const record = {
      ...runRecord({ ...options, sampler, grid }, rows ?? dataset, device, denoiser, result, count),
      ...(jump && { teleport: jump.record(result) }),
    };
    await folder.write("samples.png", await encodePng(samplesPicture(samples, dataset)));
    await folder.write("samples.npy", encodeNpy(samples, [count, ...dataset.shape]));
    if (result.trajectory) {
      const picture = trajectoryPicture(result.trajectory, dataset);
      await folder.write("trajectory.png", await encodePng(picture));
    }
    await folder.write("run.json", JSON.stringify(record, null, 2) + "\n");
    signal?.throwIfAborted();
    await folder.commit();
    report(options, rows ?? dataset, record, count, result.seconds, folder);
  } finally {
    await folder.discard();
  }
}

async function readInit(
  path: string,
  options: RunOptions,
  dataset: Dataset,
): Promise<{ count: number; values: ArrayLike<number> }> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new DatasetError(path, (error as Error).message, "a .npy file of start noise", {
      cause: error,
    });
  }
  const { data, shape } = decodeNpy(bytes, path);
  const [count = 0] = shape;
  const wanted = `[${options.count ?? "count"}, ${dataset.shape.join(", ")}]`;
  const fits = data instanceof Float32Array && shape.length > 1 && count > 0 &&
    data.length === count * dataset.dimension && (options.count ?? count) === count;
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

async function openOutput(path: string): Promise<OutputFolder> {
  try {
    return await OutputFolder.open(path);
  } catch (error) {
    throw new UsageError(
      `Cannot write to ${path}: ${(error as Error).message}, wanted a folder that takes files`,
    );
  }
}

function say({ quiet }: RunOptions, line: string): void {
  if (!quiet) console.error(line);
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
  folder: OutputFolder,
): void {
  if (options.json) console.log(JSON.stringify(record, null, 2));
  if (options.json || options.quiet) return;
  console.log(
    `${count} sample${count === 1 ? "" : "s"} of ${dataset.summary()}\n` +
      `${wayOf(options, record)}, seed ${options.seed}, ${seconds(time)}:`,
  );
  const names = [
    "samples.png",
    "samples.npy",
    ...(options.trajectory ? ["trajectory.png"] : []),
    "run.json",
  ];
  for (const name of names) console.log(`  ${folder.path(name)}`);
}

if (import.meta.main) {
  const controller = new AbortController();
  let interrupted = false;
  Deno.addSignalListener("SIGINT", () => {
    // The first one lets the step in hand finish; the second one does not wait.
    if (interrupted) Deno.exit(INTERRUPTED);
    interrupted = true;
    controller.abort(new DOMException("Interrupted", "AbortError"));
  });
  Deno.exit(await main(Deno.args, controller.signal));
}
