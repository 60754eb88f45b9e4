import type { Denoiser } from "@closedform/diffusion";
import * as m from "../_helpers/all_entries.ts";
import assert from "node:assert/strict";
import { optimalFloat64 } from "../_helpers/float64.ts";

const set = m.moons(200);
const ADAPTIVE = [m.dopri5(), m.dop853(), m.collocation()];
const refused = { name: "TypeError", message: /^Cannot adapt steps to .*draws another sample/ };

async function check<X>(denoiser: Denoiser<X>, draws: boolean, name: string): Promise<void> {
  const { space } = denoiser;
  const x = space.from([0.5, -20], [1, 2]);
  for (const sampler of [...ADAPTIVE, m.heun(), m.picard()]) {
    const first = async () => {
      for await (const { step } of sampler.run(denoiser, x, [40, 39.9])) return step;
    };
    if (draws && ADAPTIVE.includes(sampler)) {
      await assert.rejects(first(), refused, `${sampler.name}, ${name}`);
    } else assert.equal(await first(), 1);
  }
  space.dispose(x);
}

Deno.test("samplers that adapt their steps refuse denoisers that draw anew at each noise level", async () => {
  using device = await m.openDevice("wasm");
  using exact = await m.optimal(set, { device });
  const golden = (options: m.GoldenSubsetOptions) => m.goldenSubset(exact, options);
  await check(await golden({}), true, "with a tail");
  await check(await golden({ schedule: "random-pool" }), true, "of a random pool");
  await check(await golden({ tail: false }), false, "without a tail");
  await check(await golden({ tolerance: 1e-2 }), false, "certified");
  await check(await m.neighbourEstimator(exact, { neighbours: 20 }), true, "estimate");
  await check(
    await m.neighbourEstimator(exact, { neighbours: 20, others: 0 }),
    false,
    "estimate without random items",
  );
  const float64 = optimalFloat64(set);
  const fresh = await m.smoothed(float64, { bandwidth: 0.1, drawKind: "fresh" });
  await check(fresh, true, "fresh draws");
  await check(await m.kernelDensity(fresh, { bandwidth: 0.1 }), true, "a wrapper");
  await check(await m.smoothed(fresh, { bandwidth: 0.1, draws: 1 }), true, "smoothed twice");
  await check(await m.smoothed(float64, { bandwidth: 0.1 }), false, "fixed draws");
  // Not lost where a run is watched.
  await assert.rejects(
    m.sample(fresh, { count: 1, sampler: m.dopri5(), output: "tensor" }),
    refused,
  );
});
