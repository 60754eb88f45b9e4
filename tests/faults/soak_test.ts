/** Thousands of steps: neither tensors nor memory pile up. `deno task bench:faults` takes 100,000. */
import { moons, openDevice, optimal, tinyShapes } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { countOf, tell } from "../_helpers/fault_table.ts";
import { soak } from "../_helpers/soak.ts";

for (const [name, set] of [["points", moons(300)], ["images", tinyShapes(100)]] as const) {
  const wanted = countOf("FAULT_STEPS", 3000);
  Deno.test(`sample() of ${name} keeps tensors and memory flat over ${wanted} steps`, async () => {
    using device = await openDevice("wasm");
    using denoiser = await optimal(set, { device });
    const { steps, tensors, megabytes, resident } = await soak(denoiser, wanted);
    assert.equal(tensors, 0);
    // A state of 16 images leaked per step would be 28 MB.
    assert.ok(megabytes < 14, `${megabytes} MB more after ${steps} steps`);
    tell({
      fault: `steps of samples of ${name}`,
      tried: steps,
      survived: steps,
      seen: {},
      remark: `${tensors} more tensors, ${megabytes.toFixed(1)} MB more in use, ${
        resident.toFixed(1)
      } MB more resident in the last fifth`,
    });
  });
}
