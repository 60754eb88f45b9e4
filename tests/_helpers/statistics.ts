/** Statistical assertions about seeded samples. */
import assert from "node:assert/strict";

/**
 * Fails unless the mean of `values` is within `limit` standard errors of `expected`.
 *
 * With a correct sampler |z| > 5 has a probability of 6e-7; as seeds are fixed, a test that passes once passes always.
 */
export function assertMean(
  what: string,
  values: ArrayLike<number>,
  expected: number,
  limit = 5,
): void {
  const list = Array.from(values);
  const n = list.length;
  const mean = list.reduce((sum, v) => sum + v, 0) / n;
  const variance = list.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (n - 1);
  const z = (mean - expected) / Math.sqrt(variance / n);
  assert.ok(
    Math.abs(z) < limit,
    `${what}: mean ${mean}, expected ${expected}, z = ${z.toFixed(2)}`,
  );
}
