/**
 * Where a curve over the level of a teleport bends: flat above, worse below.
 *
 * The curve is fitted by a broken line in `ln σ`, `E = a + b max(0, ln σ₀ − ln σ)` with `b > 0`, by least squares; `σ₀` is the
 * knee. Adding a number to the curve, as the bias of an estimator does, or scaling it, or the unit of `σ`, leaves the knee where
 * it is, and there is no threshold to choose. A share above the least value moves with the bias; the lowest level that
 * a test cannot tell from the plateau moves with the number of samples.
 *
 * The rise has no level of its own to begin at: it is about a power of `σ`. So a knee is one over given levels, here those at
 * which the curve is published.
 */
export const KNEE_LEVELS = [20, 10, 5.5, 3.35, 2, 1.1];

/**
 * The knee of a curve.
 *
 * @param curve Levels and values.
 * @returns The level `σ₀`, to a thousandth of the range of `ln σ`.
 */
export function kneeOf(curve: readonly (readonly [sigma: number, value: number])[]): number {
  const logs = curve.map(([sigma]) => Math.log(sigma));
  const low = Math.min(...logs), high = Math.max(...logs), n = curve.length;
  const values = centred(curve.map(([, value]) => value));
  let best = 0, knee = NaN;
  for (let k = 1; k <= 1000; k++) {
    const at = low + (high - low) * k / 1000;
    const rise = centred(logs.map((log) => Math.max(0, at - log)));
    let along = 0, square = 0;
    for (let i = 0; i < n; i++) {
      along += rise[i] * values[i];
      square += rise[i] ** 2;
    }
    // What the fit explains of the curve's squares.
    const explained = along > 0 ? along ** 2 / square : 0;
    if (explained > best) [best, knee] = [explained, Math.exp(at)];
  }
  return knee;
}

function centred(values: readonly number[]): number[] {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return values.map((v) => v - mean);
}
