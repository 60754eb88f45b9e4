/** Samples as plain numbers. */
import { sample } from "@closedform/diffusion";
import type { Denoiser, SamplerName, SigmaGrid } from "@closedform/diffusion";

/** Where the samples of a run end, rows of numbers. */
export async function plain<X>(
  denoiser: Denoiser<X>,
  options: { sampler: SamplerName; grid: SigmaGrid; count: number; seed?: number },
): Promise<Float64Array> {
  return Float64Array.from((await sample(denoiser, options)).samples.data);
}
