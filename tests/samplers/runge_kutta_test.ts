import type { Denoiser } from "@closedform/diffusion";
import {
  dop853,
  dopri5,
  gaussianLaw,
  karrasGrid,
  logSnrGrid,
  mixtureLaw,
  RandomStream,
  rk4,
} from "@closedform/diffusion";
import { arraySpace } from "@closedform/diffusion/compute";
import { mixtureFlow } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { DOP853, DOPRI5, nodeOf, RK4 } from "../../src/samplers/runge_kutta/tableaus.ts";
import { distance, endOf, GAUSSIAN, MIXTURE, POINT, stepsOf } from "../_helpers/toys.ts";
import { assertClose } from "../_helpers/tolerance.ts";

const sum = (row: readonly number[]) => row.reduce((a, b) => a + b, 0);

Deno.test("the tableaus satisfy the order conditions of quadrature, and estimates see no constant", () => {
  for (
    const [tableau, c] of [
      [RK4, [0, 1 / 2, 1 / 2, 1]],
      [DOPRI5, [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1]],
      [DOP853, undefined],
    ] as const
  ) {
    const nodes = [0, ...tableau.stages.map(nodeOf)];
    if (c) assertClose(nodes, c, 1e-15, "nodes");
    // The rule Σ bⱼ f(cⱼ) integrates powers below the order exactly; 1e-13 for coefficients up to 43 of 16 digits.
    for (let k = 0; k < tableau.order; k++) {
      const integral = sum(tableau.weights.map((b, j) => b * nodes[j] ** k));
      assertClose([integral], [1 / (k + 1)], 1e-13, `power ${k}, order ${tableau.order}`);
    }
    for (const e of "errors" in tableau ? tableau.errors : []) {
      assertClose([sum(e)], [0], 1e-13, "estimate");
    }
  }
});

Deno.test("rk4() follows a single point exactly", async () => {
  const start = Float64Array.of(40, -9);
  for (
    const { sigma, x } of await stepsOf(rk4(), POINT.flow.denoiser, start, karrasGrid(7).sigmas)
  ) {
    assert.ok(distance(x, await POINT.flow.transport(start, 80, sigma)) < 1e-12);
  }
});

/** Ten narrow modes on the unit sphere of 32 dimensions. */
function sphere() {
  const stream = new RandomStream({ seed: 1, purpose: "theory" });
  const laws = Array.from({ length: 10 }, () => {
    const v = Float64Array.from({ length: 32 }, () => stream.normal());
    const norm = Math.sqrt(v.reduce((total, e) => total + e * e, 0));
    return gaussianLaw(v.map((e) => e / norm), 0.05 ** 2);
  });
  return mixtureFlow(mixtureLaw(laws.map(() => 1), laws));
}

/** Root mean square error relative to that of the states. */
function relativeError(x: Float64Array, exact: Float64Array): number {
  const square = exact.reduce((total, v) => total + v * v, 0);
  return Math.sqrt(x.reduce((total, v, i) => total + (v - exact[i]) ** 2, 0) / square);
}

Deno.test("dopri5() and dop853() meet their tolerance at about the published number of evaluations", async () => {
  const flow = sphere();
  const start = flow.draw(12, 40, 5);
  const exact = await flow.transport(start, 40, 0.005);
  // Published for DOP853 with steps per sample: 110–120, 170–183, 265–295, 439–494.
  for (
    const [sampler, tolerance, least, most] of [
      [dopri5, 1e-4, 60, 120],
      [dopri5, 1e-8, 350, 600],
      [dop853, 1e-4, 90, 150],
      [dop853, 1e-6, 140, 220],
      [dop853, 1e-8, 210, 350],
      [dop853, 1e-10, 350, 600],
    ] as const
  ) {
    const run = sampler({ tolerance });
    const last = (await stepsOf(run, flow.denoiser, start, [40, 0.005])).at(-1)!;
    const what = `${run.name} at ${tolerance}`;
    // The tolerance is per step; the flow adds and amplifies.
    assert.ok(
      relativeError(last.x, exact) < 20 * tolerance,
      `${what}: ${relativeError(last.x, exact)}`,
    );
    assert.ok(last.evaluations > least && last.evaluations < most, `${what}: ${last.evaluations}`);
    assert.ok(last.convergence!.converged.every((c) => c), what);
    assert.ok(last.convergence!.estimatedError.every((e) => e > 0 && e < 100 * tolerance), what);
    assert.ok(last.calls < 2 * last.evaluations, `${what}: ${last.calls} calls`);
  }
});

Deno.test("adaptive steps count what a spy sees, and never evaluate at or below the end", async () => {
  for (const sampler of [dopri5({ tolerance: 1e-5 }), dop853({ tolerance: 1e-5 })]) {
    const rows = new Int32Array(3);
    let calls = 0;
    const denoiser: Denoiser<Float64Array> = {
      ...MIXTURE.flow.denoiser,
      denoise(x, sigma, options) {
        calls++;
        const samples = options!.samples ?? [7, 8, 9];
        const levels = typeof sigma === "number" ? [sigma, sigma, sigma] : Array.from(sigma);
        assert.equal(levels.length, x.length / 2);
        for (const level of levels) assert.ok(level > 0.01 * (1 - 1e-12) && level <= 20);
        for (let r = 0; r < samples.length; r++) rows[samples[r] - 7]++;
        return MIXTURE.flow.denoiser.denoise(x, sigma);
      },
    };
    const start = MIXTURE.flow.draw(3, 20, 1);
    const steps = await stepsOf(sampler, denoiser, start, [20, 3, 0.01, 0], { samples: [7, 8, 9] });
    const last = steps.at(-1)!;
    assert.equal(last.calls, calls);
    assert.deepEqual([...last.convergence!.evaluations], [...rows]);
    assert.equal(last.evaluations, (rows[0] + rows[1] + rows[2]) / 3);
    assert.deepEqual(last.x, last.denoised);
    // The step to 0 takes the output that is known, without a call.
    assert.deepEqual([last.sigma, steps.at(-2)!.sigma, steps.at(-2)!.calls], [0, 0.01, calls]);
    assert.deepEqual(steps.at(-2)!.denoised, last.x);
    assert.ok(steps.every(({ sigma }, i) => i === 0 || sigma <= steps[i - 1].sigma));
    const levels = (await MIXTURE.flow.denoiser.denoise(steps.at(-2)!.x, 0.01)).mean;
    assert.ok(distance(levels, last.x) < 1e-12);
  }
});

Deno.test("adaptive steps to 0 from a single positive level return the denoised state", async () => {
  const [step] = await stepsOf(dop853(), MIXTURE.flow.denoiser, MIXTURE.start, [5, 0]);
  assert.deepEqual(step.x, (await MIXTURE.flow.denoiser.denoise(MIXTURE.start, 5)).mean);
  assert.deepEqual([step.sigma, step.evaluations, step.calls], [0, 1, 1]);
});

/** The lengths in log σ of all attempted steps of a run of one sample by dopri5, and the level each begins at. */
async function attemptsOf(
  denoiser: Denoiser<Float64Array>,
  start: Float64Array,
  sigmas: readonly number[],
  tolerance: number,
) {
  const levels: number[] = [];
  const watched: Denoiser<Float64Array> = {
    ...denoiser,
    denoise(x, sigma, options) {
      levels.push(typeof sigma === "number" ? sigma : sigma[0]);
      return denoiser.denoise(x, sigma, options);
    },
  };
  const steps = await stepsOf(dopri5({ tolerance }), watched, start, sigmas);
  // One call at the start, then six per attempt, at 1/5 of the step first and at its end last.
  const attempts = Array.from({ length: (levels.length - 1) / 6 }, (_, j) => {
    const [first, end] = [levels[1 + 6 * j], levels[6 + 6 * j]];
    const length = Math.log(first / end) / (4 / 5);
    return { sigma: end * Math.exp(length), length };
  });
  return { attempts, steps };
}

Deno.test("adaptive steps grow and shrink by 0.9 err^(-1/5), within 0.2 and 10, and never grow right after a rejection", async () => {
  // States that stay where they are, so that any step is right, but for a bump within a twentieth of log σ.
  const stays = (height: number): Denoiser<Float64Array> => ({
    ...POINT.flow.denoiser,
    denoise(x, sigma) {
      const level = typeof sigma === "number" ? sigma : sigma[0];
      const bump = height * Math.exp(-((Math.log(level) / 0.05) ** 2));
      return Promise.resolve({ mean: x.map((v) => v + bump) });
    },
  });
  const tolerance = 1e-6, seen = { grown: 0, limited: 0, held: 0, shrunk: 0 };
  const runs = [
    [stays(1), POINT.start, 20],
    [MIXTURE.flow.denoiser, MIXTURE.start, 20],
    [stays(0), POINT.start, 1e4],
  ] as const;
  for (const [denoiser, start, from] of runs) {
    const { attempts, steps } = await attemptsOf(denoiser, start, [from, 0.01], tolerance);
    let taken = 0, rejected = false;
    for (let j = 0; j + 2 < attempts.length; j++) {
      const { sigma, length } = attempts[j], next = attempts[j + 1];
      if (next.sigma > sigma * (1 - 1e-9)) {
        // Rejected: the error is above 1, so that the factor is at most 0.9.
        assert.ok(next.length >= 0.2 * length - 1e-9 && next.length <= 0.9 * length + 1e-9);
        rejected = true;
        continue;
      }
      const before = taken > 0 ? steps[taken - 1].convergence!.estimatedError[0] : 0;
      const error = (steps[taken++].convergence!.estimatedError[0] - before) / tolerance;
      const factor = Math.min(10, Math.max(0.2, 0.9 * error ** (-1 / 5)));
      const wanted = length * (rejected ? Math.min(1, factor) : factor);
      assertClose([next.length], [wanted], 1e-6 * wanted, `attempt ${j} at ${sigma}`);
      if (factor === 10) seen.limited++;
      else if (factor > 1) seen.grown++;
      else seen.shrunk++;
      if (rejected && factor > 1) seen.held++;
      rejected = false;
    }
  }
  assert.ok(Object.values(seen).every((n) => n > 0), JSON.stringify(seen));
});

Deno.test("adaptive steps end where a denoiser is noise, and say that they did not converge", async () => {
  const noisy: Denoiser<Float64Array> = {
    ...GAUSSIAN.flow.denoiser,
    async denoise(x, sigma) {
      const { mean } = await GAUSSIAN.flow.denoiser.denoise(x, sigma);
      return { mean: mean.map((v) => v + 1e-3 * Math.sin(1e9 * v)) };
    },
  };
  const { sigmas } = logSnrGrid(1, { sigmaMax: 5, sigmaMin: 4 });
  const last = (await stepsOf(dopri5({ tolerance: 1e-9 }), noisy, GAUSSIAN.start, sigmas)).at(-1)!;
  assert.deepEqual(last.convergence!.converged, [false]);
  const exact = await GAUSSIAN.flow.transport(GAUSSIAN.start, 5, 4);
  assert.ok(distance(last.x, exact) < 1e-3);
});

Deno.test("adaptive steps refuse outputs that are not finite, and tolerances out of range", async () => {
  const broken = {
    ...GAUSSIAN.flow.denoiser,
    denoise: (x: Float64Array) => Promise.resolve({ mean: x.map(() => NaN) }),
  };
  await assert.rejects(endOf(dopri5(), broken, GAUSSIAN.start, [5, 1]), RangeError);
  for (const tolerance of [0, -1, 1, NaN]) assert.throws(() => dop853({ tolerance }), RangeError);
  const alien = { ...broken, space: { ...arraySpace } };
  await assert.rejects(endOf(dopri5(), alien, GAUSSIAN.start, [5, 1]), TypeError);
});
