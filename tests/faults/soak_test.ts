/** Thousands of steps: neither tensors nor memory pile up. `deno task bench:faults` takes 100,000. */
import { moons, openDevice, optimal, tinyShapes } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { soak } from "../_helpers/soak.ts";

for (const [name, set] of [["points", moons(300)], ["images", tinyShapes(100)]] as const) {
  Deno.test(`sample() of ${name} keeps tensors and memory flat over 3,000 steps`, async () => {
    using device = await openDevice("wasm");
    using denoiser = await optimal(set, device);
    const { tensors, megabytes } = await soak(denoiser, 3000);
    assert.equal(tensors, 0);
    // A state of 16 images leaked per step would be 28 MB.
    assert.ok(megabytes < 14, `${megabytes} MB more after 3,000 steps`);
  });
}
