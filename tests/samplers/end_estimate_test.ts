import {
  Dataset,
  goldenSubset,
  openDevice,
  optimal,
  sample,
  startNoise,
} from "@closedform/diffusion";
import { endEstimate } from "@closedform/diffusion/theory";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";

/** Blobs that many trajectories choose between. */
const set = new Dataset({
  data: Float32Array.from(startNoise(6, 0, 200, 16), (e) => Math.max(-1, Math.min(1, 0.5 * e))),
  shape: [16],
  name: "noise",
});

Deno.test("endEstimate() says how many ends are at another item, no less than there are, at most tolerances", async () => {
  using device = await openDevice("wasm");
  using base = await optimal(set, { device });
  let less = 0, some = 0;
  const seeds = 6, count = 40;
  for (const tolerance of [0.02, 1e-5]) {
    using golden = await goldenSubset(base, { tolerance });
    for (let seed = 0; seed < seeds; seed++) {
      const options = { count, seed };
      const run = await sample(golden, { ...options, output: "tensor" }),
        exact = await sample(base, { ...options, output: "tensor" });
      const estimate = await endEstimate(golden, run, { ...options, probes: count });
      assert.equal(estimate.probes, count);
      assert.ok(estimate.medianDistance <= estimate.largestDistance);
      const [a, b] = [await tensorSpace.values(run.x), await tensorSpace.values(exact.x)];
      let others = 0;
      for (let q = 0; q < count; q++) {
        let square = 0;
        for (let c = 16 * q; c < 16 * (q + 1); c++) square += (a[c] - b[c]) ** 2;
        // Items are about 0.7 apart per number, and ends at an item closer to it than a tenth of that.
        if (Math.sqrt(square / 16) > 0.07) others++;
      }
      if (others > estimate.otherItem) less++;
      some += estimate.otherItem;
      tensorSpace.dispose(run.x, run.denoised, exact.x, exact.denoised);
    }
  }
  // An estimate, not a bound; of 12 runs a few may have more.
  assert.ok(less <= 2, `${less} of ${2 * seeds} runs`);
  assert.ok(some > 0, "nothing to estimate");
});

Deno.test("endEstimate() refuses what bounds nothing, and no probes", async () => {
  using device = await openDevice("wasm");
  using base = await optimal(set, { device });
  const run = await sample(base, { count: 2, output: "tensor" });
  await assert.rejects(endEstimate(base, run, { count: 2 }), {
    name: "RangeError",
    message: /bounds no error/,
  });
  using golden = await goldenSubset(base, { tolerance: 1e-3 });
  await assert.rejects(endEstimate(golden, run, { probes: 0 }), RangeError);
  tensorSpace.dispose(run.x, run.denoised);
});
