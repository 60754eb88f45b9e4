/** Logits at the end of sampling, where an expanded square loses them in float32. */
import { Dataset, optimal, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";

const N = 200, D = 3072, QUERIES = 6;
/** The last level of 200 uniform steps. */
const SIGMA = 1 / 199;

// Squared norms of about 1,000.
const dataset = new Dataset({
  data: Float32Array.from(startNoise(1, 0, N, D), (v) => .57 * v),
  shape: [D],
  name: "high dimension",
});
const noise = startNoise(2, 0, QUERIES, D);
const queries = Float32Array.from(noise, (e, at) => dataset.data[at] + SIGMA * e);

/** The largest logit of a query from `‖x‖² + ‖x_i‖² − 2⟨x, x_i⟩`, every number rounded to float32. */
function expandedLogit(query: number): number {
  const round = Math.fround;
  const dot = (a: Float32Array, i: number, b: ArrayLike<number>, j: number) => {
    let sum = 0;
    for (let c = 0; c < D; c++) sum = round(sum + round(a[i * D + c] * b[j * D + c]));
    return sum;
  };
  const own = dot(queries, query, queries, query);
  let best = -Infinity;
  for (let i = 0; i < QUERIES; i++) {
    const square = round(
      round(own + dot(dataset.data as Float32Array, i, dataset.data, i)) -
        round(2 * dot(queries, query, dataset.data, i)),
    );
    best = Math.max(best, -square / (2 * SIGMA * SIGMA));
  }
  return best;
}

testOnDevices(
  await testDevices(),
  "optimal() at the last of 200 steps, d = 3072: the nearest point's logit to a twentieth nat",
  async (device) => {
    const exact = referencePosterior(dataset, Float64Array.from(queries), SIGMA).facts.topLogit;
    using denoiser = await optimal(dataset, { device });
    const x = tensorSpace.from(queries, [QUERIES, D]);
    const { mean, ...facts } = await denoiser.denoise(x, SIGMA);
    tensorSpace.dispose(x, mean);
    for (let q = 0; q < QUERIES; q++) {
      assert.ok(Math.abs(facts.topLogit[q] - exact[q]) < .05, `${facts.topLogit[q]} ${exact[q]}`);
    }
    // What these numbers would be from the expanded square.
    const expanded = Array.from(exact, (logit, q) => Math.abs(expandedLogit(q) - logit));
    assert.ok(Math.max(...expanded) > 1, `${expanded}`);
  },
);
