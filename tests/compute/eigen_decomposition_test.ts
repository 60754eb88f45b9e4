import type { EigenDecomposition } from "@closedform/diffusion";
import fc from "fast-check";
import assert from "node:assert/strict";
import { eigenDecomposition } from "../../src/compute/eigen_decomposition.ts";
import { referenceEigen } from "../../src/compute/reference_eigen.ts";
import { threadedEigen } from "../../src/compute/wasm/threaded_eigen.ts";
import {
  assertDecomposes,
  jacobiValues,
  matrixOf,
  randomSymmetric,
  withSpectrum,
} from "../_helpers/symmetric.ts";
import { assertClose } from "../_helpers/tolerance.ts";

type Method = (matrix: Float64Array, n: number) => Promise<EigenDecomposition>;

const METHODS: Readonly<Record<string, Method>> = {
  referenceEigen: (matrix, n) => Promise.resolve(referenceEigen(matrix, n)),
  threadedEigen,
};

/** Fails unless the values are those expected, to backward stability. */
function assertValues({ values }: EigenDecomposition, expected: number[], what: string): void {
  const norm = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const tolerance = (expected.length + 8) * Number.EPSILON * norm;
  assertClose(values, expected.sort((a, b) => b - a), tolerance, what);
}

for (const [name, decompose] of Object.entries(METHODS)) {
  Deno.test(`${name}() decomposes random matrices of any size`, async () => {
    for (const n of [1, 2, 3, 4, 5, 31, 32, 33, 67, 128, 191, 192, 193, 194, 300]) {
      const matrix = randomSymmetric(n, n);
      assertDecomposes(await decompose(matrix, n), matrix, `n = ${n}`);
    }
  });

  Deno.test(`${name}() finds spectra that are known in closed form`, async () => {
    const n = 250;
    const laplace = matrixOf(n, (i, j) => i === j ? 0.5 : Math.abs(i - j) === 1 ? -0.25 : 0);
    const wave = (k: number) => Math.sin(k * Math.PI / (2 * n + 2)) ** 2;
    assertValues(
      await decompose(laplace, n),
      Array.from({ length: n }, (_, k) => wave(k + 1)),
      "second difference",
    );
    // On a ring all values but one or two come twice.
    const ring = matrixOf(
      n,
      (i, j) => Math.exp(-0.1 * Math.min(Math.abs(i - j), n - Math.abs(i - j))),
    );
    const sums = Array.from(
      { length: n },
      (_, k) =>
        Array.from({ length: n }, (_, j) => ring[j] * Math.cos(2 * Math.PI * j * k / n))
          .reduce((a, b) => a + b, 0),
    );
    const result = await decompose(ring, n);
    assertValues(result, sums, "ring");
    assertDecomposes(result, ring, "ring");
    // The vector of the largest value of the ring is constant.
    const [first] = result.vectors;
    assertClose(
      result.vectors.subarray(0, n),
      new Float64Array(n).fill(Math.sign(first) / Math.sqrt(n)),
      // Its error is that of the matrix over the gap to the next value.
      (n + 8) * Number.EPSILON * result.values[0] / (result.values[0] - result.values[1]),
      "constant vector",
    );
  });

  Deno.test(`${name}() bears repeated, zero, close and widely different eigenvalues`, async () => {
    const n = 220;
    const spectra: Record<string, number[]> = {
      zeros: Array.from({ length: n }, (_, k) => k < 30 ? 1 - k / 40 : 0),
      five: Array.from({ length: n }, (_, k) => (k % 5) / 5),
      close: Array.from({ length: n }, (_, k) => 1 - k % 2 * 1e-13 * k),
      graded: Array.from({ length: n }, (_, k) => 10 ** (-k / 10)),
      signs: Array.from({ length: n }, (_, k) => (k % 2 ? -1 : 1) / (1 + Math.floor(k / 2))),
    };
    for (const [what, spectrum] of Object.entries(spectra)) {
      const matrix = withSpectrum(spectrum, 3);
      const result = await decompose(matrix, n);
      assertDecomposes(result, matrix, what);
      assertValues(result, spectrum, what);
    }
    const simple: Record<string, Float64Array> = {
      nothing: new Float64Array(n * n),
      identity: matrixOf(n, (i, j) => i === j ? 1 : 0),
      ones: new Float64Array(n * n).fill(1),
      diagonal: matrixOf(n, (i, j) => i === j ? (i * 37 % n) / n : 0),
      "two equal blocks": matrixOf(
        n,
        (i, j) => Math.floor(2 * i / n) === Math.floor(2 * j / n) ? 1 / (1 + (i + j) % (n / 2)) : 0,
      ),
      // Pairs of eigenvalues that agree to all digits, and a matrix that does not fall apart (Wilkinson's W⁺).
      wilkinson: matrixOf(
        n + 1,
        (i, j) => i === j ? Math.abs(i - n / 2) / n : Math.abs(i - j) === 1 ? 1 / n : 0,
      ),
    };
    for (const [what, matrix] of Object.entries(simple)) {
      assertDecomposes(await decompose(matrix, Math.sqrt(matrix.length)), matrix, what);
    }
  });

  Deno.test(`${name}() agrees with Jacobi's method`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 0, max: 3 }),
        async (n, seed, digits) => {
          // Few digits make many elements and eigenvalues equal.
          const matrix = randomSymmetric(n, seed).map((v) =>
            Math.round(v * 10 ** digits) / 10 ** digits / 8
          );
          const result = await decompose(matrix, n);
          assertDecomposes(result, matrix, "small");
          assertValues(result, [...jacobiValues(matrix, n)], "values");
        },
      ),
      { seed: 4, numRuns: 12 },
    );
  });
}

Deno.test("eigenDecomposition() scales matrices of any size, and takes what is on and below the diagonal", async () => {
  for (const n of [3, 200]) {
    const matrix = randomSymmetric(n, 8);
    const { values, vectors } = await eigenDecomposition(matrix, n);
    for (const factor of [2 ** -600, 2 ** 400]) {
      const lower = matrix.map((v, at) => at % n > Math.floor(at / n) ? NaN : v * factor);
      const scaled = await eigenDecomposition(lower, n);
      // Powers of two change no digits.
      assertClose(scaled.values, values.map((v) => v * factor), 0, "values");
      assertClose(scaled.vectors, vectors, 0, "vectors");
    }
  }
});

Deno.test("threadedEigen() gives the same bits for any number of threads, and close ones without fused arithmetic", async () => {
  const n = 230;
  const matrix = withSpectrum(Array.from({ length: n }, (_, k) => 1 / (k + 1)), 5);
  const expected = await threadedEigen(matrix, n, { threads: 1 });
  for (const threads of [2, 3]) {
    const result = await threadedEigen(matrix, n, { threads });
    assertClose(result.values, expected.values, 0, "values");
    assertClose(result.vectors, expected.vectors, 0, "vectors");
  }
  const strict = await threadedEigen(matrix, n, { relaxed: false });
  assertDecomposes(strict, matrix, "strict");
  assertClose(strict.values, expected.values, (n + 8) * Number.EPSILON, "values");
});

Deno.test("threadedEigen() reports rising progress up to the end, and stops when told", async () => {
  const n = 300;
  const matrix = withSpectrum(Array.from({ length: n }, (_, k) => 1 / (k + 1)), 6);
  const shares: number[] = [];
  const onProgress = (done: number, total: number) => shares.push(done / total);
  await threadedEigen(matrix, n, { onProgress });
  assert.ok(shares.length >= 3);
  shares.forEach((share, k) => assert.ok(share <= 1 && (k === 0 || share >= shares[k - 1])));
  assert.equal(shares.at(-1), 1);
  // Midway through each of the stages.
  for (const at of [1, shares.length - 2]) {
    const stop = new AbortController();
    let calls = 0;
    const running = threadedEigen(matrix, n, {
      signal: stop.signal,
      onProgress: () => {
        if (++calls === at) stop.abort(new RangeError("enough"));
      },
    });
    await assert.rejects(running, /enough/);
    assert.equal(calls, at);
  }
  await assert.rejects(
    eigenDecomposition(Float64Array.of(1), 1, { signal: AbortSignal.abort(new RangeError("no")) }),
    /no/,
  );
});
