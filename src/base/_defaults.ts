/** Defaults that the library and the command line share. */

/** Samples of a run. */
export const COUNT = 64;
/** Draws of a smoothed denoiser, `M`. */
export const DRAWS = 4;
/** Steps down each grid. */
export const STEPS = { "ddpm": 10, "karras": 18, "log-snr": 20, "uniform-t": 20 } as const;
