import type { EvaluateOptions, Sigma } from "../compute/posterior.ts";
import type { Denoiser } from "../denoisers/denoiser.ts";
import type { SampleRows } from "./samples.ts";

/** What two denoisers make of the same states, as numbers. */
export async function outputsOf<X>(
  a: Denoiser<X>,
  b: Denoiser<X>,
  x: X,
  sigma: Sigma,
  options: EvaluateOptions,
): Promise<SampleRows[]> {
  if (a.shape.join() !== b.shape.join()) {
    throw new TypeError(
      `Cannot compare denoisers: they work on shapes [${a.shape}] and [${b.shape}], wanted equal shapes`,
    );
  }
  const rows: SampleRows[] = [];
  for (const denoiser of [a, b]) {
    const denoised = (await denoiser.denoise(x, sigma, options)).mean;
    try {
      rows.push(await denoiser.space.values(denoised));
    } finally {
      denoiser.space.dispose(denoised);
    }
  }
  return rows;
}
