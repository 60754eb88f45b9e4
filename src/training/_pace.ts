/** How fast a training goes, and how long it will. */
export interface Pace {
  /** Images per second since the start. */
  readonly imagesPerSecond: number;
  /** Seconds since the start. */
  readonly elapsed: number;
  /** Seconds left at this pace. */
  readonly remaining: number;
}

/**
 * A clock that starts now.
 *
 * @param first Steps that were taken before.
 * @param steps Steps in all.
 * @param batchSize Items per step.
 * @returns What it tells after so many steps.
 */
export function startClock(
  first: number,
  steps: number,
  batchSize: number,
): (step: number) => Pace {
  const start = performance.now();
  return (step) => {
    const elapsed = (performance.now() - start) / 1000, perSecond = (step - first) / elapsed;
    return {
      imagesPerSecond: perSecond * batchSize,
      elapsed,
      remaining: (steps - step) / perSecond,
    };
  };
}
