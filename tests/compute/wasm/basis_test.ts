import { startNoise } from "@closedform/diffusion";
import { ThreadedBasis } from "../../../src/compute/wasm/basis.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

/** `Uᵀ diag(g) U e` by plain loops. */
function filter(basis: Float64Array, d: number, rows: Float64Array, factors: Float64Array) {
  const rank = basis.length / d, count = rows.length / d;
  const out = new Float64Array(rows.length);
  for (let b = 0; b < count; b++) {
    for (let k = 0; k < rank; k++) {
      let q = 0;
      for (let c = 0; c < d; c++) q += basis[k * d + c] * rows[b * d + c];
      q *= factors[b * rank + k];
      for (let c = 0; c < d; c++) out[b * d + c] += basis[k * d + c] * q;
    }
  }
  return out;
}

Deno.test("ThreadedBasis filters rows of any number and size, whatever the threads", async () => {
  for (
    const [d, rank, count] of [[1, 1, 1], [5, 3, 2], [37, 37, 9], [70, 11, 130], [600, 300, 5]]
  ) {
    const basis = startNoise(1, 0, rank, d).map((v) => v / Math.sqrt(d));
    const rows = startNoise(2, 0, count, d), factors = startNoise(3, 0, count, rank);
    const expected = filter(basis, d, rows, factors);
    for (const options of [{}, { threads: 1, relaxed: false }]) {
      using threads = await ThreadedBasis.open(basis, d, options);
      // Twice at once: calls take turns.
      const twice = await Promise.all([
        threads.filter(rows, factors),
        threads.filter(rows, factors),
      ]);
      // Sums of d and of r products whose partial sums stay below √d |q| and √r |y|, each about 10.
      const tolerance = (d + rank) * Number.EPSILON * 10;
      for (const actual of twice) {
        assertClose(
          actual,
          expected,
          tolerance,
          `${count} of ${rank} × ${d}`,
        );
      }
      const alone = await threads.filter(rows.slice(0, d), factors.slice(0, rank));
      assertClose(alone, twice[0].slice(0, d), 0, "a row alone");
    }
  }
});
