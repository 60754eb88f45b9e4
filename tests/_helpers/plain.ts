/** Samples as plain numbers. */
import { sample, samplerByName } from "@closedform/diffusion";
import type { Denoiser, SamplerName, SigmaGrid } from "@closedform/diffusion";

/** Where the samples of a run end, rows of numbers. */
export async function plain<X>(
  denoiser: Denoiser<X>,
  { sampler, ...options }: { sampler: SamplerName; grid: SigmaGrid; count: number; seed?: number },
): Promise<Float64Array> {
  const run = await sample(denoiser, { ...options, sampler: samplerByName(sampler) });
  const values = Float64Array.from(await denoiser.space.values(run.x));
  denoiser.space.dispose(run.x, run.denoised);
  return values;
}
