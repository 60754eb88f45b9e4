/** Long series of short runs, to see what piles up. */
import type { AnyTensor, Denoiser } from "@closedform/diffusion";
import { ddpmGrid, dpmpp2m, sample } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import * as tf from "@tensorflow/tfjs-core";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What is there at the end of a soak and was not when its first fifth was over. */
export interface Growth {
  readonly steps: number;
  readonly tensors: number;
  /** Of the heap and of what lies outside of it, after a collection of garbage. */
  readonly megabytes: number;
  /** Of all memory that the process holds, in the last fifth: the engine takes what it will ever want in the first 60,000 steps. */
  readonly resident: number;
}

/** Draws 16 samples in runs of ten steps until there are `steps`. */
export async function soak(denoiser: Denoiser<AnyTensor>, steps: number): Promise<Growth> {
  const each = 10;
  let before = { tensors: 0, bytes: 0, resident: 0 }, late = before;
  const at = (share: number) => Math.floor(share * steps / each) * each;
  for (let done = 0; done < steps; done += each) {
    if (done === at(0.2)) before = inUse();
    if (done === at(0.8)) late = inUse();
    const { x, denoised } = await sample(denoiser, {
      count: 16,
      seed: done,
      sampler: dpmpp2m(),
      grid: ddpmGrid(each),
      output: "tensor",
    });
    tensorSpace.dispose(x, denoised);
  }
  const after = inUse();
  return {
    steps,
    tensors: after.tensors - before.tensors,
    megabytes: (after.bytes - before.bytes) / 2 ** 20,
    resident: (after.resident - late.resident) / 2 ** 20,
  };
}

function inUse(): { tensors: number; bytes: number; resident: number } {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return { tensors: tf.memory().numTensors, bytes: heapUsed + external, resident: rss };
}
