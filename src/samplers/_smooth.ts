/**
 * What samplers that adapt their steps need of a denoiser.
 *
 * @module
 */
import type { Denoiser } from "../denoisers/denoiser.ts";

/**
 * Refuses denoisers that draw other random numbers at each noise level: no step would be short enough for them.
 *
 * @param denoiser The denoiser.
 * @throws {TypeError} If it draws.
 */
export function checkSmooth<X>({ label, drawsPerLevel }: Denoiser<X>): void {
  if (!drawsPerLevel) return;
  throw new TypeError(
    `Cannot adapt steps to the ${label}: it draws another sample of the data at each noise level, wanted a sampler of fixed steps such as heun, or a denoiser that draws none`,
  );
}
