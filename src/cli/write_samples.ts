/**
 * The files that hold what a run drew.
 *
 * @module
 */
import type { Dataset } from "../datasets/dataset.ts";
import { encodeNpy } from "../datasets/npy.ts";
import { encodeNpz } from "../datasets/npz.ts";
import { encodePly } from "../datasets/ply.ts";
import { disposeState, numbersOf } from "../compute/batch.ts";
import type { AnyTensor } from "../states/linear_space.ts";
import { encodePng } from "../plots/encode_png.ts";
import type { SampleResult } from "../samplers/run.ts";
import type { WorkingSpace } from "./codec.ts";
import type { RunOptions } from "./options.ts";
import type { OutputFolder, RunFile } from "./output.ts";
import { samplesPicture, trajectoryPicture } from "./pictures.ts";

/** What there is to know besides the result. */
interface Drawn {
  readonly options: RunOptions;
  readonly dataset: Dataset;
  readonly space: WorkingSpace;
  readonly count: number;
}

/** The files that a run will write. */
export function filesOf(
  { trajectory, npz }: Pick<RunOptions, "trajectory" | "npz">,
  dataset: Dataset,
): RunFile[] {
  return [
    "samples.png",
    "samples.npy",
    ...(isCloud(dataset) ? ["samples.ply"] as const : []),
    ...(trajectory ? ["trajectory.png"] as const : []),
    ...(npz ? ["samples.npz"] as const : []),
    "run.json",
  ];
}

function isCloud({ shape, dimension }: Dataset): boolean {
  return shape.length === 1 && dimension === 3;
}

/**
 * Writes pictures and arrays of a result, whose tensors it releases.
 *
 * @param folder Where to.
 * @param result What was drawn.
 * @param drawn How: options, data and the space it was drawn in.
 */
export async function writeSamples(
  folder: OutputFolder,
  result: SampleResult<AnyTensor>,
  { options, dataset, space, count }: Drawn,
): Promise<void> {
  const states = await numbers(result.x), denoised = await numbers(result.denoised);
  disposeState(result.x);
  disposeState(result.denoised);
  const samples = await space.decode(states);
  const shape = [count, ...dataset.shape];
  await folder.write("samples.png", await encodePng(samplesPicture(samples, dataset)));
  await folder.write("samples.npy", encodeNpy(samples, shape));
  if (isCloud(dataset)) await folder.write("samples.ply", encodePly(samples));
  const { trajectory } = result;
  if (trajectory) {
    const picture = await trajectoryPicture(trajectory, dataset, space.decode);
    await folder.write("trajectory.png", await encodePng(picture));
  }
  if (!options.npz) return;
  const inside = [count, ...space.data.dataset.shape];
  const levels = trajectory?.length ?? 0;
  await folder.write(
    "samples.npz",
    encodeNpz({
      samples: { data: samples, shape },
      denoised: { data: await space.decode(denoised), shape },
      ...(space.codec && { latents: { data: states, shape: inside } }),
      ...(trajectory && {
        sigmas: { data: Float64Array.from(trajectory, ({ sigma }) => sigma), shape: [levels] },
        states: {
          data: joined(trajectory.map(({ x }) => x)),
          shape: [levels, ...inside],
        },
      }),
    }),
  );
}

async function numbers(x: AnyTensor): Promise<Float32Array> {
  const values = await numbersOf(x);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

function joined(parts: readonly (Float32Array | Float64Array)[]): Float32Array {
  const all = new Float32Array(parts.length * parts[0].length);
  parts.forEach((part, i) => all.set(part, i * part.length));
  return all;
}
