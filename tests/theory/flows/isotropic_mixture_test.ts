import { gaussianLaw, mixtureLaw, startNoise } from "@closedform/diffusion";
import {
  ambientTarget,
  isotropicMixture,
  mixtureFlow,
  ringTarget,
  sphereTarget,
} from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { assertMean } from "../../_helpers/statistics.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

const WEIGHTS = [0.2, 0.5, 0.3], SPREADS = [0.3, 0.02, 1];
const CENTRES = [[1, 0, 2], [-1, 0.5, 0], [0, -2, 1]];

Deno.test("isotropicMixture() has the denoiser and the flow of mixtureFlow()", async () => {
  for (const spread of [SPREADS, [0.3, 0.3, 0.3], [0, 0, 0]]) {
    const fast = isotropicMixture(CENTRES, { weights: WEIGHTS, spread });
    const laws = CENTRES.map((mu, m) => gaussianLaw(mu, spread[m] ** 2));
    const general = mixtureFlow(mixtureLaw(WEIGHTS, laws));
    for (const sigma of [0.01, 0.3, 3, 40]) {
      const x = fast.draw(20, sigma, 3);
      // Logits reach |x|²/2v, and are off by that many roundings.
      const logit = Math.max(...x.map((v) => v * v)) / (2 * sigma * sigma) + 100;
      const expected = (await general.denoiser.denoise(x, sigma)).mean;
      assertClose(
        (await fast.denoiser.denoise(x, sigma)).mean,
        expected,
        40 * logit * 2 ** -53,
        "D",
      );
    }
    const x = fast.draw(2, 40, 4);
    const end = await general.transport(x, 40, 0.1);
    assertClose(await fast.transport(x, 40, 0.1), end, 1e-11, "flow");
  }
});

Deno.test("isotropicMixture() knows the divergence of its denoiser", async () => {
  const { denoiser, divergence } = isotropicMixture(CENTRES, { weights: WEIGHTS, spread: SPREADS });
  const step = 1e-5;
  for (const sigma of [0.2, 1, 5]) {
    const x = startNoise(1, 0, 1, 3);
    let sum = 0;
    for (let c = 0; c < 3; c++) {
      const moved = (by: number) => x.map((v, i) => i === c ? v + by : v);
      const [up, down] = [
        (await denoiser.denoise(moved(step), sigma)).mean,
        (await denoiser.denoise(moved(-step), sigma)).mean,
      ];
      sum += (up[c] - down[c]) / (2 * step);
    }
    // Central differences: third derivatives of order 1/σ⁴ times step², and rounding over step.
    const tolerance = 10 * step ** 2 / sigma ** 4 + 1e-15 / step * 10;
    assertClose([divergence(x, sigma)], [sum], tolerance, `sigma ${sigma}`);
  }
});

Deno.test("isotropicMixture() draws from its law and knows its size", () => {
  const flow = isotropicMixture(CENTRES, { weights: WEIGHTS, spread: SPREADS });
  const x = flow.draw(4000, 0, 5);
  const squares = Array.from(
    { length: 4000 },
    (_, r) => Math.hypot(...x.subarray(3 * r, 3 * r + 3)) ** 2,
  );
  assertMean("|x|²", squares, flow.scale ** 2);
  const means = flow.denoiser.mean!();
  for (const c of [0, 1, 2]) {
    assertMean(`coordinate ${c}`, Array.from({ length: 4000 }, (_, r) => x[3 * r + c]), means[c]);
  }
});

Deno.test("targets depend on their seed only, and lie where they should", async () => {
  for (
    const make of [
      (seed: number) => ringTarget({ seed }),
      (seed: number) => sphereTarget(5, { seed }),
      (seed: number) => ambientTarget(5, { seed }),
    ]
  ) {
    const x = make(1).draw(3, 2, 1);
    const at = async (seed: number) => [...(await make(seed).denoiser.denoise(x, 0.5)).mean];
    assert.deepEqual(await at(1), await at(1));
    assert.notDeepEqual(await at(1), await at(2));
  }
  assertClose([ringTarget({ spread: 0.1 }).scale], [Math.sqrt(1.02)], 1e-15, "ring");
  assertClose([sphereTarget(5, { spread: 0.1 }).scale], [Math.sqrt(1.05)], 1e-15, "sphere");
});

Deno.test("isotropicMixture() refuses what is no mixture", () => {
  assert.throws(() => isotropicMixture([]), TypeError);
  assert.throws(() => isotropicMixture([[1], [1, 2]]), TypeError);
  assert.throws(() => isotropicMixture([[1]], { weights: [1, 2] }), TypeError);
  assert.throws(() => isotropicMixture([[1]], { spread: [1, 2] }), TypeError);
  assert.throws(() => isotropicMixture([[1]], { weights: [0] }), RangeError);
  assert.throws(() => isotropicMixture([[1]], { spread: -1 }), RangeError);
});
