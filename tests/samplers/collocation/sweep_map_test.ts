import fc from "fast-check";
import { solve, sweepMap } from "../../../src/samplers/collocation/sweep_map.ts";
import { collocationRule, collocationWeights } from "../../../src/samplers/collocation/weights.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

Deno.test("solve() solves systems with several right sides", () => {
  const entry = fc.double({ min: -1, max: 1, noNaN: true });
  const system = fc.integer({ min: 1, max: 8 }).chain((n) =>
    fc.record({
      n: fc.constant(n),
      a: fc.array(entry, { minLength: n * n, maxLength: n * n }),
      y: fc.array(entry, { minLength: 3 * n, maxLength: 3 * n }),
    })
  );
  fc.assert(
    fc.property(system, ({ n, a, y }) => {
      // Rows in another order than that of the large entries, so that pivots have to be sought.
      const matrix = Float64Array.from(a);
      for (let i = 0; i < n; i++) matrix[i * n + (n - 1 - i)] += 2 * n;
      const b = new Float64Array(3 * n);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          for (let c = 0; c < 3; c++) b[3 * i + c] += matrix[i * n + j] * y[3 * j + c];
        }
      }
      const one = b.filter((_, at) => at % 3 === 0);
      solve(matrix, [b, one]);
      assertClose(b, y, 1e-14 * 8, "solution");
      assertClose(one, y.filter((_, at) => at % 3 === 0), 1e-14 * 8, "single side");
    }),
    { seed: 1 },
  );
});

Deno.test("sweepMap() is the Newton step where the scalars are the Jacobian", () => {
  const K = 5, window = collocationWeights(collocationRule("gauss", K), 1.2);
  const slopes = Float64Array.of(0.5, -1, 3, 2, 0.1), offsets = [1, -2, 0.5, 3, -1];
  // D(X) = cX + b, so one step from anywhere solves X = Ex + W D(X).
  const x = 0.7, states = [3, 1, -4, 1, 5];
  const values = states.map((v, j) => slopes[j] * v + offsets[j]);
  const map = sweepMap(window, slopes);
  const next = states.map((_, i) =>
    map.start[i] * x + values.reduce((sum, v, j) => {
      return sum + map.values[i * K + j] * v + map.states[i * K + j] * states[j];
    }, 0)
  );
  const again = next.map((v, j) => slopes[j] * v + offsets[j]);
  const solved = next.map((_, i) =>
    window.decay[i] * x + again.reduce((sum, v, j) => sum + window.weights[i * K + j] * v, 0)
  );
  assertClose(next, solved, 1e-13, "fixed point");
});

Deno.test("sweepMap() without scalars is Picard's sweep", () => {
  const K = 4, window = collocationWeights(collocationRule("chebyshev", K), 0.5);
  const { start, values, states } = sweepMap(window, new Float64Array(K));
  assertClose(start, window.decay.subarray(0, K), 0, "start");
  assertClose(values, window.weights.subarray(0, K * K), 0, "values");
  assertClose(states, new Float64Array(K * K), 0, "states");
});
