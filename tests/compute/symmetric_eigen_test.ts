import { symmetricEigen } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { RandomStream } from "../../src/base/random.ts";

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, v, i) => sum + v * b[i], 0);

/** `Vᵀ diag(λ) V`, and the Gram matrix of the rows of V. */
function compose(values: Float64Array, vectors: Float64Array) {
  const n = values.length;
  const row = (k: number) => vectors.subarray(k * n, (k + 1) * n);
  const matrix = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return values.reduce((sum, v, k) => sum + v * row(k)[i] * row(k)[j], 0);
  });
  const gram = Float64Array.from(
    { length: n * n },
    (_, at) => dot(row(Math.floor(at / n)), row(at % n)),
  );
  return { matrix, gram };
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);

Deno.test("symmetricEigen() composes back to the matrix, of any rank, with orthonormal vectors", () => {
  for (const [n, rank] of [[1, 1], [2, 2], [5, 2], [12, 12], [20, 7]]) {
    const stream = new RandomStream({ seed: n, purpose: "theory" });
    const factor = Array.from(
      { length: n },
      () => Array.from({ length: rank }, () => stream.normal()),
    );
    const matrix = factor.flatMap((a) => factor.map((b) => dot(a, b)));
    const { values, vectors } = symmetricEigen(matrix);
    const { matrix: again, gram } = compose(values, vectors);
    const identity = gram.map((_, at) => Math.floor(at / n) === at % n ? 1 : 0);
    // A few dozen n rotations and reflections touch an element, each with a rounding error.
    const tolerance = 20 * n * Number.EPSILON;
    assert.ok(worst(again, matrix) <= tolerance * values[0], `n = ${n}: ${worst(again, matrix)}`);
    assert.ok(worst(gram, identity) <= tolerance, `n = ${n}: ${worst(gram, identity)}`);
    assert.ok(values.every((v, i) => i === 0 || v <= values[i - 1]), "values fall");
    for (const v of values.subarray(rank)) assert.ok(Math.abs(v) <= tolerance * values[0]);
  }
});

Deno.test("symmetricEigen() keeps the small eigenvalues of a graded diagonal", () => {
  const { values } = symmetricEigen([1e-12, 0, 0, 0, 1e6, 0, 0, 0, 1]);
  [1e6, 1, 1e-12].forEach((v, k) => assert.ok(Math.abs(values[k] - v) <= 4 * Number.EPSILON * v));
});

Deno.test("symmetricEigen() knows the second-difference matrix: 2 − 2cos(kπ/(n+1))", () => {
  const n = 9;
  const matrix = Float64Array.from({ length: n * n }, (_, at) => {
    const apart = Math.abs(Math.floor(at / n) - at % n);
    return apart === 0 ? 2 : apart === 1 ? -1 : 0;
  });
  const { values } = symmetricEigen(matrix);
  values.forEach((v, i) => {
    assert.ok(Math.abs(v - (2 - 2 * Math.cos((n - i) * Math.PI / (n + 1)))) < 1e-14);
  });
});

Deno.test("symmetricEigen() refuses what is not symmetric, square or finite", () => {
  assert.throws(() => symmetricEigen([1, 2, 3]), TypeError);
  assert.throws(() => symmetricEigen([]), TypeError);
  assert.throws(() => symmetricEigen([1, 2, 3, 4]), TypeError);
  assert.throws(() => symmetricEigen([1, NaN, NaN, 4]), RangeError);
});
