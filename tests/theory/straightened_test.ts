import { ddim, dpmpp2m, gaussianLaw, karrasGrid } from "@closedform/diffusion";
import { gaussianOfMixture } from "@closedform/diffusion/theory";
import { straightened } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { THREE_MODES } from "../../src/theory/_toy_mixtures.ts";
import { withSpectrum } from "../_helpers/symmetric.ts";
import { distance, endOf, exactEnd, MIXTURE, stepsOf, uniformLevels } from "../_helpers/toys.ts";

const law = gaussianOfMixture(THREE_MODES);

async function errorOf(order: 1 | 2, steps: number): Promise<number> {
  const sampler = straightened(law, { order });
  const end = await endOf(sampler, MIXTURE.flow.denoiser, MIXTURE.start, uniformLevels(steps));
  return distance(end, await exactEnd(MIXTURE));
}

Deno.test("straightened() has its order, and the published errors on three modes", async () => {
  assert.ok(Math.abs(await errorOf(1, 16) / 0.00924 - 1) < 0.01);
  assert.ok(Math.abs(await errorOf(2, 32) / 3.15e-4 - 1) < 0.01);
  for (const order of [1, 2] as const) {
    const slope = Math.log2(await errorOf(order, 64) / await errorOf(order, 128));
    assert.ok(Math.abs(slope - order) < 0.15, `order ${order}: slope ${slope}`);
  }
});

Deno.test("straightened() halves the error of DDIM, and beats 2M here", async () => {
  const error = async (...[sampler, steps]: [ReturnType<typeof ddim>, number]) =>
    distance(
      await endOf(sampler, MIXTURE.flow.denoiser, MIXTURE.start, uniformLevels(steps)),
      await exactEnd(MIXTURE),
    );
  assert.ok(await errorOf(1, 16) < 0.6 * await error(ddim(), 16));
  assert.ok(await errorOf(2, 32) < 0.8 * await error(dpmpp2m(), 32));
});

Deno.test("straightened() steps to 0 at the last output, and counts its calls", async () => {
  const { denoiser, dimension } = MIXTURE.flow;
  const steps = await stepsOf(straightened(law), denoiser, MIXTURE.start, [5, 1, 0.1, 0]);
  assert.deepEqual(steps.map(({ calls, step }) => [step, calls]), [[1, 1], [2, 2], [3, 3]]);
  assert.deepEqual([...steps[2].x], [...steps[2].denoised]);
  const oblique = gaussianLaw([0, 0], withSpectrum([3, 0.1], 5));
  const end = await endOf(straightened(oblique), denoiser, MIXTURE.start, karrasGrid(40).sigmas);
  assert.ok(end.every(Number.isFinite) && end.length === dimension);
});

Deno.test("straightened() refuses other orders and laws of other dimensions", async () => {
  assert.throws(() => straightened(law, { order: 3 as 2 }), RangeError);
  await assert.rejects(
    endOf(straightened(gaussianLaw([0], 1)), MIXTURE.flow.denoiser, MIXTURE.start, [5, 1]),
    TypeError,
  );
});
