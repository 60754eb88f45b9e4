import {
  dataSpectrum,
  ddim,
  dpmpp2m,
  dpmpp3m,
  fitMixture,
  gaussian,
  gaussianLaw,
  gaussianLeg,
  heun,
  integratedLeg,
  karrasGrid,
  sample,
  SAMPLER_NAMES,
  startNoise,
  teleport,
  tinyShapes,
  unipc,
} from "@closedform/diffusion";
import {
  cumulantNorms,
  drawGaussian,
  gaussianOfMixture,
  landingLevel,
  skipEstimate,
} from "@closedform/diffusion/theory";
import { gridByName } from "../../../src/base/noise.ts";
import { samplerByName, takesTolerance } from "../../../src/samplers/registry.ts";
import { extrapolateFlow, gaussianFlow, mixtureFlow } from "@closedform/diffusion/theory";
import type { Denoiser, FirstLeg, Sampler, Spectrum } from "@closedform/diffusion";
import assert from "node:assert/strict";
import { denoiseGaussian } from "../../../src/denoisers/gaussian/gaussian_law.ts";
import { fadingModes } from "../../../src/theory/_toy_mixtures.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { withSpectrum } from "../../_helpers/symmetric.ts";
import { assertClose, EPS32 } from "../../_helpers/tolerance.ts";
import { endOf, stepsOf } from "../../_helpers/toys.ts";
import { mixtureFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

const D = 5;
const law = gaussianLaw(startNoise(31, 0, 1, D), withSpectrum([30, 4, 1, 0.1, 1e-3], 32));
const flow = gaussianFlow(law);
/** All samplers but the one whose tables know no oblique axes, and those that choose their own levels. */
const SAMPLERS: Sampler[] = SAMPLER_NAMES.filter((name) =>
  name !== "dpm-v3" && !takesTolerance(name)
)
  .filter((name) => name !== "collocation-published").map((name) => samplerByName(name));
/** Evaluations per step, where it is not one; the last step, to 0, takes one. */
const PER_STEP: Record<string, number> = { heun: 2, rk4: 4 };
const start = startNoise(33, 0, 2, D).map((e) => 80 * e);
const { sigmas } = karrasGrid(18);

/** Fails a run that has a denoiser called at a level above `sigma`, and counts its calls. */
function spy(most = Infinity): Denoiser<Float64Array> & { calls: number } {
  const { denoiser } = flow;
  return {
    ...denoiser,
    calls: 0,
    denoise(x, sigma, options) {
      assert.ok(sigma as number > 0 && sigma as number <= most, `called at ${sigma}`);
      this.calls++;
      return denoiser.denoise(x, sigma, options);
    },
  };
}

Deno.test("the tail of a Karras grid is the Karras grid of the level it begins at", () => {
  for (const n of [10, 18, 40]) {
    const full = karrasGrid(n).sigmas;
    for (let k = 0; n - k >= 2; k++) {
      const tail = karrasGrid(n - k, { sigmaMax: full[k] }).sigmas;
      // Powers of seven make rounding of the roots seven times larger, of σ up to 80.
      assertClose(tail, full.slice(k), 1e-12, `${n} levels from ${k}`);
    }
  }
});

Deno.test("gaussianLeg() then the closed form is the closed form, from every level", async () => {
  using leg = gaussianLeg(law);
  const end = await flow.transport(start, 80, 0);
  for (let k = 1; k < 18; k++) {
    const [{ x }] = await leg.follow(start, [80, sigmas[k]]);
    assertClose(await flow.transport(x, sigmas[k], 0), end, 1e-10, `by way of ${sigmas[k]}`);
  }
});

Deno.test("gaussianLeg() that keeps the law goes where the Gaussian is drawn from the same noise", async () => {
  using leg = gaussianLeg(law, { keep: "law" });
  const noise = startNoise(33, 0, 2, D);
  for (const { sigma, x, denoised } of await leg.follow(noise.map((e) => 80 * e), [80, 9, 2])) {
    for (let row = 0; row < 2 * D; row += D) {
      const drawn = drawGaussian(law, noise.slice(row, row + D), sigma);
      assertClose(x.subarray(row, row + D), drawn, 1e-13 * (10 + sigma), `state at ${sigma}`);
    }
    assertClose(
      denoised,
      (await flow.denoiser.denoise(x, sigma)).mean,
      1e-13,
      `end point at ${sigma}`,
    );
  }
});

for (const sampler of SAMPLERS) {
  Deno.test(`teleport() is exact on Gaussian data: ${sampler.name}, from every level`, async () => {
    using leg = gaussianLeg(law);
    const denoise = (x: Float64Array, sigma: number) => denoiseGaussian(law, x, sigma);
    let [first, second] = [start.slice(0, D), start.slice(D)];
    for (let k = 1; k < 18; k++) {
      [first, second] = await Promise.all(
        [first, second].map((x) => extrapolateFlow(denoise, x, sigmas[k - 1], sigmas[k])),
      ) as [Float64Array<ArrayBuffer>, Float64Array<ArrayBuffer>];
      const exact = Float64Array.of(...first, ...second);
      const jumping = teleport(sampler, leg, { sigma: sigmas[k] });
      const ours = await endOf(jumping, flow.denoiser, start, sigmas);
      const theirs = await endOf(sampler, flow.denoiser, exact, sigmas.slice(k));
      // The reference is exact to 1e-11; coarse steps of high order amplify that little.
      assertClose(ours, theirs, 1e-10, `landing at ${sigmas[k]}`);
    }
  });

  Deno.test(`teleport() saves the evaluations above the landing: ${sampler.name}`, async () => {
    using leg = gaussianLeg(law);
    for (const k of [1, 5, 13]) {
      const denoiser = spy(sigmas[k]);
      const jumping = teleport(sampler, leg, { sigma: sigmas[k] });
      const steps = await stepsOf(jumping, denoiser, start, sigmas);
      const wanted = (PER_STEP[sampler.name] ?? 1) * (17 - k) + 1;
      assert.equal(denoiser.calls, wanted);
      const last = steps.at(-1)!;
      assert.deepEqual([last.evaluations, last.calls, last.step], [wanted, wanted, 19 - k]);
      assert.deepEqual([steps[0].sigma, steps[0].evaluations], [sigmas[k], 0]);
    }
  });
}

Deno.test("teleport() lands on the lowest level that is not below the one it is given", () => {
  assert.equal(landingLevel([80, 10, 5, 1, 0], 5), 2);
  assert.equal(landingLevel([80, 10, 5, 1, 0], 5.1), 1);
  assert.equal(landingLevel([80, 10, 5, 1, 0], 90), 0);
  assert.equal(landingLevel([80, 10, 5, 1, 0], 1e-9), 3);
  assert.throws(() => landingLevel([80, 10], 10), RangeError);
});

Deno.test("teleport() of a grid that begins below walks it as it is", async () => {
  using leg = gaussianLeg(law);
  const jumping = teleport(heun(), leg, { sigma: 100 });
  const ours = await endOf(jumping, flow.denoiser, start, sigmas);
  assertClose(ours, await endOf(heun(), flow.denoiser, start, sigmas), 0, "the same");
});

Deno.test("teleport() shows the levels between where asked, with their end points", async () => {
  using leg = gaussianLeg(law);
  const jumping = teleport(ddim(), leg, { sigma: sigmas[3], between: true });
  const steps = await stepsOf(jumping, spy(sigmas[3]), start, sigmas);
  assert.deepEqual(steps.map(({ sigma }) => sigma), sigmas.slice(1));
  assert.deepEqual(steps.map(({ step }) => step), sigmas.slice(1).map((_, i) => i + 1));
  for (const { sigma, x, denoised } of steps.slice(0, 3)) {
    assertClose(x, await flow.transport(start, 80, sigma), 1e-12, `state at ${sigma}`);
    assertClose(
      denoised,
      (await flow.denoiser.denoise(x, sigma)).mean,
      1e-12,
      `end point at ${sigma}`,
    );
  }
  const straight = teleport(ddim(), leg, { sigma: sigmas[3] });
  assertClose(
    steps.at(-1)!.x,
    await endOf(straight, flow.denoiser, start, sigmas),
    1e-12,
    "the end does not depend on what is shown",
  );
});

Deno.test("teleport() refuses what it cannot do", async () => {
  using leg = gaussianLeg(law);
  for (const sigma of [0, -1, NaN, Infinity]) {
    assert.throws(() => teleport(ddim(), leg, { sigma }), RangeError);
  }
  using other = gaussianLeg(gaussianLaw([0, 0], 1));
  await assert.rejects(
    endOf(teleport(ddim(), other, { sigma: 5 }), flow.denoiser, start, sigmas),
    TypeError,
  );
  assert.throws(
    () => teleport(ddim(), leg, { sigma: 0.001 }).run(flow.denoiser, start, [80, 1]),
    RangeError,
  );
  assert.throws(() => integratedLeg(flow.denoiser, { stepsPerFold: 0 }), RangeError);
  for (const tolerance of [0, -1, NaN, Infinity]) {
    assert.throws(() => integratedLeg(flow.denoiser, { tolerance }), RangeError);
  }
});

Deno.test("teleport() refuses to land where it is predicted to be off by too much", async () => {
  using leg = gaussianLeg(law);
  const asked: number[][] = [];
  const displacement = (sigma: number, from: number) => {
    asked.push([sigma, from]);
    return 1 / sigma;
  };
  const to = (sigma: number) =>
    teleport(ddim(), leg, { sigma, limit: { displacement, tolerance: 0.1 } });
  assert.throws(() => to(sigmas[7]).run(spy(), start, sigmas), {
    name: "RangeError",
    message: `Cannot teleport from 80 to ${sigmas[7]}: the displacement is predicted to be ${
      1 / sigmas[7]
    }, wanted at most 0.1`,
  });
  assertClose(
    await endOf(to(11), flow.denoiser, start, sigmas),
    await endOf(teleport(ddim(), leg, { sigma: 11 }), flow.denoiser, start, sigmas),
    0,
    "a landing within the limit is as it was",
  );
  assert.deepEqual(asked, [[sigmas[7], 80], [sigmas[5], 80]]);
  // Nothing is left out, so nothing can be off.
  await endOf(to(500), flow.denoiser, start, sigmas);
  const unknown = { displacement: () => NaN, tolerance: 1 };
  assert.throws(
    () => teleport(ddim(), leg, { sigma: 5, limit: unknown }).run(spy(), start, sigmas),
    RangeError,
  );
});

for (const name of ["ddpm", "karras", "log-snr", "uniform-t"] as const) {
  Deno.test(`teleport() is exact on Gaussian data from the start that the grid has: ${name}`, async () => {
    using leg = gaussianLeg(law);
    const grid = gridByName(name, 12);
    for (const sigma of [5, 0.7]) {
      const landing = landingLevel(grid.sigmas, sigma);
      const sampler = teleport(unipc(), leg, { sigma });
      const jump = await sample(flow.denoiser, {
        count: 3,
        seed: 8,
        grid,
        sampler,
        trajectory: true,
        output: "tensor",
      });
      const [first, second] = jump.trajectory!;
      const exact = await flow.transport(
        Float64Array.from(first.x),
        grid.sigmas[0],
        grid.sigmas[landing],
      );
      assertClose(second.x, exact, 1e-10, `landing at ${grid.sigmas[landing]}`);
      const rest = await endOf(unipc(), flow.denoiser, exact, grid.sigmas.slice(landing));
      assertClose(jump.x, rest, 1e-10, "end");
      const whole =
        (await sample(flow.denoiser, { count: 3, grid, sampler: unipc(), output: "tensor" }))
          .evaluations;
      assert.equal(jump.evaluations, whole - landing);
    }
  });
}

Deno.test("teleport() of a class, along the Gaussian of the class, lands near the flow of the class", async () => {
  const set = tinyShapes(600), one = set.classSubset("bar"), optimal = optimalFloat64(one);
  const x = startNoise(37, 0, 24, 144).map((e) => 80 * e);
  const [exact] = await integratedLeg(optimal).follow(x, [80, 10]);
  const rms = async (spectrum: Spectrum) => {
    using leg = gaussianLeg(spectrum);
    const [{ x: reached }] = await leg.follow(x, [80, 10]);
    return Math.sqrt(reached.reduce((sum, v, i) => sum + (v - exact.x[i]) ** 2, 0) / 24);
  };
  const [own, all] = [await dataSpectrum(set, { class: "bar" }), await dataSpectrum(set)];
  const predicted = skipEstimate(await cumulantNorms(one, own), 10, 80).displacement;
  // Measured: 0.029 both, and 1.6 along the Gaussian of all classes.
  const [ours, others] = [await rms(own), await rms(all)];
  assert.ok(ours < 1.4 * predicted && ours < 0.1 * others, `${ours}, ${predicted}, ${others}`);
});

Deno.test("teleport() rejects with the reason of an abort, in the jump and after it", async () => {
  using leg = gaussianLeg(law);
  for (const after of [0, 2]) {
    const controller = new AbortController();
    const reason = new TypeError("enough");
    const denoiser = spy();
    if (after === 0) controller.abort(reason);
    const run = async () => {
      const jumping = teleport(ddim(), leg, { sigma: 5, between: true });
      let steps = 0;
      for await (
        const _ of jumping.run(denoiser, start, sigmas, { signal: controller.signal })
      ) if (++steps === after) controller.abort(reason);
    };
    await assert.rejects(run(), reason);
    assert.equal(denoiser.calls, 0);
  }
});

Deno.test("integratedLeg() of a mixture follows its flow, at all levels asked for", async () => {
  const mixture = mixtureFlow(fadingModes(3));
  const leg: FirstLeg = integratedLeg(mixture.denoiser);
  const x = startNoise(34, 0, 8, 16).map((e) => 80 * e);
  const states = await leg.follow(x, [80, 57.6, 20, 5]);
  assert.deepEqual(states.map(({ sigma }) => sigma), [57.6, 20, 5]);
  for (const state of states) {
    // Measured: 1e-6 at 8 steps per factor e, order 4.
    const exact = await mixture.transport(x, 80, state.sigma);
    assertClose(state.x, exact, 2e-5, `states at ${state.sigma}`);
  }
  const coarse = await integratedLeg(mixture.denoiser, { stepsPerFold: 4, tolerance: 1 })
    .follow(x, [80, 5]);
  const error = (y: Float64Array, exact: Float64Array) =>
    Math.max(...y.map((v, i) => Math.abs(v - exact[i])));
  const exact = await mixture.transport(x, 80, 5);
  const ratio = error(coarse[0].x, exact) / error(states[2].x, exact);
  assert.ok(ratio > 8, `order 4 gives a factor up to 16 per halving, measured ${ratio}`);
});

Deno.test("integratedLeg() estimates its error, and takes shorter steps until that is within its tolerance", async () => {
  const mixture = mixtureFlow(fadingModes(3));
  const x = startNoise(34, 0, 8, 16).map((e) => 80 * e);
  for (const [level, stepsPerFold] of [[5, 4], [1, 4], [0.3, 8], [0.05, 8]]) {
    const exact = await mixture.transport(x, 80, level);
    const rms = (y: Float64Array) =>
      Math.sqrt(y.reduce((sum, v, i) => sum + (v - exact[i]) ** 2, 0) / 8);
    for (const tolerance of [1e-1, 1e-3, 1e-5]) {
      const leg = integratedLeg(mixture.denoiser, { stepsPerFold, tolerance });
      const [{ x: reached, error }] = await leg.follow(x, [80, level]);
      // Of the order of the method, 4, an error is 2 times smaller than estimated.
      assert.ok(
        error! <= tolerance && rms(reached) <= error!,
        `${level}: ${rms(reached)}, ${error}`,
      );
    }
  }
});

Deno.test("integratedLeg() refuses a flow that it cannot integrate to its tolerance", async () => {
  const { denoiser } = mixtureFlow(fadingModes(3));
  const rough: Denoiser<Float64Array> = {
    ...denoiser,
    denoise: async (x, sigma) => {
      const { mean } = await denoiser.denoise(x, sigma);
      return { mean: mean.map((v, i) => v + 0.1 * Math.sin(1e5 * x[i])) };
    },
  };
  const x = startNoise(34, 0, 4, 16).map((e) => 80 * e);
  await assert.rejects(
    integratedLeg(rough, { tolerance: 1e-4 }).follow(x, [80, 20]),
    {
      name: "RangeError",
      message: /error with 128 steps per factor e is .*, wanted at most 0.0001/,
    },
  );
});

Deno.test("integratedLeg() of a mixture lands nearer to the flow of the data than the Gaussian", async () => {
  const set = tinyShapes(150), optimal = optimalFloat64(set), count = 12;
  const x = startNoise(36, 0, count, 144).map((e) => 80 * e);
  const [exact] = await integratedLeg(optimal, { stepsPerFold: 16 }).follow(x, [80, 3]);
  const rms = async (leg: FirstLeg) => {
    const [{ x: reached }] = await leg.follow(x, [80, 3]);
    return Math.sqrt(reached.reduce((sum, v, i) => sum + (v - exact.x[i]) ** 2, 0) / count);
  };
  const errors = [];
  for (const components of [1, 10, 40]) {
    const options = { components, rank: 20, ridge: 1e-4 };
    errors.push(await rms(integratedLeg(await mixtureFloat64(set, options))));
  }
  const [one, ten, forty] = errors;
  assert.ok(ten < 0.7 * one && forty < 0.7 * ten, `${errors}`);
  const law = (await fitMixture(set, { components: 1, ridge: 0 })).components[0];
  using closed = gaussianLeg(law);
  assert.ok(Math.abs(await rms(closed) / one - 1) < 0.02, "one component is the Gaussian");
});

Deno.test("teleport() to 5 lowers the median error of every sampler at equal evaluations", async () => {
  const mixture = fadingModes(5), target = mixtureFlow(mixture);
  using leg = gaussianLeg(gaussianOfMixture(mixture));
  const x = startNoise(35, 0, 48, 16).map((e) => 80 * e);
  const exact = await target.transport(x, 80, 0);
  const median = async (sampler: Sampler, levels: readonly number[]) => {
    const end = await endOf(sampler, target.denoiser, x, levels);
    const errors = Float64Array.from(
      { length: 48 },
      (_, b) =>
        Math.hypot(...end.subarray(b * 16, b * 16 + 16).map((v, c) => v - exact[b * 16 + c])),
    );
    return errors.sort()[24];
  };
  for (
    const [sampler, steps] of [[heun(), 6], [dpmpp2m(), 12], [dpmpp3m(), 12], [
      unipc(),
      12,
    ]] as const
  ) {
    const below = karrasGrid(steps, { sigmaMax: 5 }).sigmas;
    const jumping = teleport(sampler, leg, { sigma: 5 });
    const without = await median(sampler, karrasGrid(steps).sigmas);
    const withIt = await median(jumping, [80, ...below]);
    assert.ok(withIt < without, `${sampler.name}: ${withIt} with, ${without} without`);
  }
});

const devices = await testDevices();
testOnDevices(devices, "teleport() on tensors is the run on numbers", async (device) => {
  using denoiser = await gaussian(law, { device });
  using leg = gaussianLeg(law);
  const options = {
    count: 5,
    batchSize: 2,
    seed: 4,
    sampler: teleport(heun(), leg, { sigma: 5, between: true }),
    grid: karrasGrid(18),
    trajectory: true,
  };
  await withoutLeaks(async () => {
    const ours = await sample(denoiser, { ...options, output: "tensor" });
    const theirs = await sample(flow.denoiser, { ...options, output: "tensor" });
    const [a, b] = await Promise.all([denoiser.space.values(ours.x), theirs.x]);
    // States of size 240 are rounded a few times per step to float32.
    assertClose(a, b, 64 * 240 * EPS32, "ends");
    assert.equal(ours.evaluations, 2 * (18 - 7) - 1);
    assert.deepEqual(ours.trajectory!.map(({ sigma }) => sigma), [...sigmas]);
    // Leaving a run early leaves nothing behind.
    for await (const _ of options.sampler.run(denoiser, ours.x, sigmas)) break;
    denoiser.space.dispose(ours.x, ours.denoised);
  });
});
