import { logSnrGrid, SAMPLER_NAMES } from "@closedform/diffusion";
import { samplerByName } from "../../src/samplers/registry.ts";
import { measuredOrders } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { endOf, GAUSSIAN } from "../_helpers/toys.ts";

const orders = await measuredOrders();

for (const name of SAMPLER_NAMES) {
  Deno.test(`${name} has the order that it declares, on three closed-form flows`, () => {
    const measured = orders.filter((order) => order.name === name);
    assert.deepEqual(measured.map(({ flow }) => flow), ["a point", "a Gaussian", "a mixture"]);
    for (const { flow, slope, declared, errors } of measured) {
      // Constant outputs are followed exactly by whatever solves the linear part exactly.
      if (slope === Infinity) assert.equal(flow, "a point", `${flow}: nothing above rounding`);
      else {
        const all = errors.map((error) => error.toExponential(1)).join(", ");
        assert.ok(
          Math.abs(slope - declared) <= 0.25,
          `${flow}: slope ${slope}, declared ${declared}, errors ${all}`,
        );
      }
    }
  });
}

Deno.test("multistep samplers with their default ends are of order two, whatever their formula", async () => {
  const { flow, start } = GAUSSIAN;
  const exact = await flow.transport(start, 5, 0.5);
  for (const name of SAMPLER_NAMES) {
    if (!/^(dpmpp-[23]|exp-ab-[234]|unipc)/.test(name)) continue;
    const [a, b] = await Promise.all([64, 128].map(async (steps) => {
      const { sigmas } = logSnrGrid(steps, { sigmaMax: 5, sigmaMin: 0.5 });
      const x = await endOf(samplerByName(name), flow.denoiser, start, sigmas);
      return Math.hypot(...x.map((v, i) => v - exact[i]));
    }));
    const slope = Math.log2(a / b);
    assert.ok(slope > 1.75 && slope < 2.25, `${name}: slope ${slope}`);
  }
});
