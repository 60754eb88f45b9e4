import type { Device, Progress, Sampler } from "@closedform/diffusion";
import {
  collocation,
  Dataset,
  ddpmGrid,
  heun,
  karrasGrid,
  logSnrGrid,
  moons,
  optimal,
  sample,
  startNoise,
  uniformTGrid,
  unipc,
} from "@closedform/diffusion";
import { gridByName } from "../../src/base/noise.ts";
import { referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertMean } from "../_helpers/statistics.ts";
import { assertClose } from "../_helpers/tolerance.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const devices = await testDevices();
const set = moons(400);

async function draw(device: Device, options: Parameters<typeof sample>[1]) {
  using denoiser = await optimal(set, { device });
  const result = await sample(denoiser, { ...options, output: "tensor" });
  const values = await denoiser.space.values(result.x);
  denoiser.space.dispose(result.x, result.denoised);
  return { ...result, values };
}

testOnDevices(
  devices,
  "sample() gives a sample that is the same alone and in a batch of 64",
  async (device) => {
    await withoutLeaks(async () => {
      const grid = ddpmGrid(10);
      const many = (await draw(device, { count: 64, seed: 9, grid })).values;
      for (const first of [0, 1, 17, 63]) {
        const alone = (await draw(device, { count: 1, seed: 9, first, grid })).values;
        assert.deepEqual(alone, many.slice(2 * first, 2 * first + 2));
      }
      assert.deepEqual(
        (await draw(device, { count: 64, seed: 9, grid, batchSize: 7 })).values,
        many,
      );
      assert.notDeepEqual((await draw(device, { count: 64, seed: 10, grid })).values, many);
    });
  },
);

testOnDevices(devices, "sample() agrees with the float64 sampler", async (device) => {
  // At few steps float32 rounding is amplified little; the worst of 64 trajectories was seen to stay below 1e-4.
  for (const name of ["ddpm", "uniform-t"]) {
    const options = { count: 64, seed: 2, grid: gridByName(name, 10) };
    const exact = await sample(optimalFloat64(set), { ...options, output: "tensor" });
    const { values } = await draw(device, options);
    const errors = Array.from(values, (v, i) => Math.abs(v - exact.x[i])).sort((a, b) => a - b);
    assert.ok(
      errors[Math.floor(errors.length * 0.9)] < 1e-5,
      `90 % of errors below 1e-5: ${errors.at(-13)}`,
    );
    assert.ok(errors.at(-1)! < 1e-3, `worst error ${errors.at(-1)}`);
  }
});

Deno.test("sample() starts each grid by its own law", async () => {
  const eps = startNoise(0, 0, 3, 2);
  const mean = set.mean();
  for (
    const [grid, start] of [
      [ddpmGrid(4), (e: number) => Math.sqrt(1 + ddpmGrid(4).sigmas[0] ** 2) * e],
      [karrasGrid(4), (e: number) => 80 * e],
      [logSnrGrid(4), (e: number) => 80 * e],
      [uniformTGrid(4), (e: number, c: number) => mean[c] + 3 * e],
    ] as const
  ) {
    const { trajectory } = await sample(optimalFloat64(set), {
      count: 3,
      grid,
      trajectory: true,
      output: "tensor",
    });
    assert.deepEqual(trajectory![0].x, eps.map((e, i) => start(e, i % 2)));
    assert.deepEqual(trajectory!.map(({ sigma }) => sigma), grid.sigmas);
  }
});

Deno.test("sample() takes start noise and then ignores the seed", async () => {
  const init = startNoise(5, 0, 4, 2);
  const [a, b] = [1, 2].map((seed) =>
    sample(optimalFloat64(set), { init, seed, output: "tensor" })
  );
  assert.deepEqual((await a).x, (await b).x);
  assert.deepEqual(
    (await a).x,
    (await sample(optimalFloat64(set), { count: 4, seed: 5, output: "tensor" })).x,
  );
});

Deno.test("sample() returns the state and the denoised estimate, both named", async () => {
  const toZero = await sample(optimalFloat64(set), {
    count: 4,
    grid: karrasGrid(6),
    output: "tensor",
  });
  assert.deepEqual(toZero.x, toZero.denoised);
  const toSigmaMin = await sample(optimalFloat64(set), {
    count: 4,
    grid: logSnrGrid(6),
    output: "tensor",
  });
  assert.notDeepEqual(toSigmaMin.x, toSigmaMin.denoised);
});

Deno.test("sample() reports progress and the facts of each step", async () => {
  const seen: Progress[] = [];
  const { steps, evaluations, calls } = await sample(optimalFloat64(set), {
    count: 5,
    batchSize: 2,
    grid: karrasGrid(8),
    onProgress: (p) => void seen.push(p),
    output: "tensor",
  });
  assert.deepEqual([evaluations, calls], [8, 24]);
  assert.deepEqual(seen.map(({ done }) => done), Array.from({ length: 24 }, (_, i) => i + 1));
  assert.equal(seen.at(-1)!.fraction, 1);
  assert.equal(seen.at(-1)!.remaining, 0);
  assert.deepEqual(steps.map(({ sigma }) => sigma), karrasGrid(8).sigmas.slice(0, -1));
  for (const { facts } of steps) assert.equal(facts!.effectiveSampleSize!.length, 5);
  const sizes = steps.map(({ facts }) => facts!.effectiveSampleSize![4]);
  assert.ok(sizes[0] > 390, "at sigma 80 all points weigh");
  assertClose([sizes.at(-1)!], [1], 1e-6, "at sigma 0.002 one point weighs");
});

Deno.test("sample() stops when its signal says so, in the middle of a run", async () => {
  const controller = new AbortController();
  const reason = new RangeError("enough");
  let steps = 0;
  const run = sample(optimalFloat64(set), {
    count: 4,
    signal: controller.signal,
    onProgress: () => {
      if (++steps === 3) controller.abort(reason);
    },
    output: "tensor",
  });
  await assert.rejects(run, (error) => error === reason);
  assert.equal(steps, 3);
});

Deno.test("sample() refuses impossible options", async () => {
  const denoiser = optimalFloat64(set);
  await assert.rejects(sample(denoiser, { count: 0, output: "tensor" }), RangeError);
  await assert.rejects(sample(denoiser, { count: 1.5, output: "tensor" }), RangeError);
  await assert.rejects(sample(denoiser, { batchSize: 0, output: "tensor" }), RangeError);
  await assert.rejects(sample(denoiser, { seed: -1, output: "tensor" }), RangeError);
  await assert.rejects(
    sample(denoiser, { count: 2, init: [1, 2, 3], output: "tensor" }),
    TypeError,
  );
  await assert.rejects(sample(denoiser, { init: [1, 2, 3], output: "tensor" }), TypeError);
  await assert.rejects(
    sample(denoiser, { count: 1, init: [1, NaN], output: "tensor" }),
    RangeError,
  );
  const { mean: _, ...meanless } = denoiser;
  await assert.rejects(sample(meanless, { grid: uniformTGrid(4), output: "tensor" }), RangeError);
});

Deno.test("sample() from a late start begins at an item of the data plus noise, whatever the batch", async () => {
  const dataset = new Dataset({
    data: Float32Array.of(-5, 0, 5),
    shape: [1],
    name: "three points",
  });
  const denoiser = optimalFloat64(dataset);
  const grid = uniformTGrid(4, { start: 0.9 });
  const options = { count: 600, grid, trajectory: true, seed: 2 };
  const { trajectory, x } = await sample(denoiser, { ...options, output: "tensor" });
  const start = trajectory![0].x;
  const items = Array.from(start, (v) => Math.round(v / 5) * 5);
  // σ = 1/9: an item is the nearest one with certainty, and each comes up a third of the time within 4 standard errors.
  for (const item of dataset.data) {
    const share = items.filter((v) => v === item).length / 600;
    assert.ok(Math.abs(share - 1 / 3) < 4 * Math.sqrt(2 / 9 / 600));
  }
  assertMean("noise", items.map((v, i) => (start[i] - v) ** 2), grid.sigmas[0] ** 2);
  const batched = await sample(denoiser, { ...options, batchSize: 7, output: "tensor" });
  assert.ok(batched.x.every((v, i) => v === x[i]));
  await assert.rejects(
    () => sample({ ...denoiser, draw: undefined }, { ...options, output: "tensor" }),
    /starts at noised data/,
  );
});

Deno.test("sample() of a sampler that adapts its steps gives states and convergence of every sample", async () => {
  const grid = logSnrGrid(4, { sigmaMax: 20, sigmaMin: 0.1 });
  const options = { count: 5, grid, sampler: collocation({ tolerance: 1e-4 }), seed: 3 };
  const seen: Progress[] = [];
  const whole = await sample(optimalFloat64(set), {
    ...options,
    trajectory: true,
    output: "tensor",
  });
  const parts = await sample(optimalFloat64(set), {
    ...options,
    batchSize: 2,
    trajectory: true,
    onProgress: (p) => void seen.push(p),
    output: "tensor",
  });
  assert.deepEqual(parts.x, whole.x);
  assert.deepEqual(parts.convergence!.evaluations, whole.convergence!.evaluations);
  assert.equal(parts.convergence!.windows.length, 5);
  assert.ok(parts.convergence!.converged.every((c) => c));
  const mean = whole.convergence!.evaluations.reduce((a, b) => a + b) / 5;
  assert.ok(Math.abs(parts.evaluations - mean) < 1e-12);
  // Batches take different numbers of steps: those that end early stay at their end.
  assert.deepEqual(parts.trajectory!.at(-1)!.x, parts.x);
  assert.deepEqual(parts.trajectory![0].x, whole.trajectory![0].x);
  assert.equal(parts.trajectory!.length, parts.steps.length + 1);
  assert.equal(seen.at(-1)!.fraction, 1);
  assert.equal(seen.at(-1)!.total, 12);
  assert.ok(seen.every(({ fraction }, i) => i === 0 || fraction >= seen[i - 1].fraction));
});

/** Takes `1 + sample` steps to the end of the grid, by states that are the number of the step. */
const uneven: Sampler = {
  name: "uneven",
  order: 1,
  references: [],
  async *run(denoiser, start, sigmas, options) {
    const { space } = denoiser, shape = [2, 2];
    const [sample] = Array.from(options!.samples!), last = 1 + sample;
    for (let step = 1; step <= last; step++) {
      // The second level is evaluated by the first batch only.
      const level = step === 2 && sample > 1 ? sigmas[2] : sigmas[Math.min(step - 1, 2)];
      const { mean } = await denoiser.denoise(start, level, options);
      space.dispose(mean);
      const x = space.from([step, sample, step, sample], shape);
      const sigma = step === last ? sigmas.at(-1)! : sigmas[0] / (1 + step / 100);
      const of = () => Int32Array.of(step, step);
      yield {
        step,
        sigma,
        x,
        denoised: x,
        evaluations: step,
        calls: step,
        convergence: {
          ...{ evaluations: of(), windows: of(), rejected: of(), sweeps: of() },
          ...{ estimatedError: new Float64Array(2), converged: [true, true] },
        },
      };
    }
  },
};

Deno.test("sample() of batches that take different numbers of steps lets those that end early stay where they ended", async () => {
  // Samples 0, 2, 4 begin the batches, and take 1, 3 and 5 steps; then in the other order.
  for (const first of [0, 4]) {
    const backwards: Sampler = {
      ...uneven,
      run: (denoiser, x, sigmas, options) => {
        const sample = Math.abs(first - Number(Array.from(options!.samples!)[0]));
        return uneven.run(denoiser, x, sigmas, { ...options, samples: [sample, sample] });
      },
    };
    const options = { count: 6, batchSize: 2, grid: karrasGrid(5), trajectory: true };
    const sampler = first === 0 ? uneven : backwards;
    const { x, trajectory, steps } = await sample(optimalFloat64(set), {
      ...options,
      sampler,
      output: "tensor",
    });
    const lasts = first === 0 ? [1, 3, 5] : [5, 3, 1];
    assert.equal(trajectory!.length, 6);
    assert.deepEqual(Array.from(x).filter((_, i) => i % 4 === 0), lasts);
    for (let k = 1; k < 6; k++) {
      const numbers = Array.from(trajectory![k].x).filter((_, i) => i % 4 === 0);
      assert.deepEqual(numbers, lasts.map((last) => Math.min(k, last)), `frame ${k}`);
      // So does what the denoiser makes of it.
      lasts.forEach((last, batch) => {
        const rows = (frame: number) =>
          Array.from(trajectory![frame].denoised!).slice(4 * batch, 4 * batch + 4);
        if (k > last) assert.deepEqual(rows(k), rows(last));
      });
    }
    assert.deepEqual(trajectory!.at(-1)!.x, x);
    assert.equal(steps.length, 5);
  }
});

Deno.test("sample() tells facts of a level only where all samples were evaluated there", async () => {
  const grid = karrasGrid(5);
  // Every batch evaluates the first level, the third one on its third step, and one of them the second level.
  const two: Sampler = {
    ...uneven,
    async *run(denoiser, start, sigmas, options) {
      const [sample] = Array.from(options!.samples!);
      const levels = sample === 0 ? [0, 1] : [0, 2];
      for (const [i, level] of levels.entries()) {
        const { mean } = await denoiser.denoise(start, sigmas[level], options);
        const at = { step: i + 1, evaluations: i + 1, calls: i + 1 };
        yield { ...at, x: mean, denoised: mean, sigma: i === 0 ? sigmas[1] : sigmas.at(-1)! };
      }
    },
  };
  const options = { count: 4, batchSize: 2, grid, sampler: two };
  const { steps } = await sample(optimalFloat64(set), { ...options, output: "tensor" });
  assert.deepEqual(steps.map(({ sigma }) => sigma), grid.sigmas.slice(0, 2));
  assert.equal(steps[0].facts!.entropy!.length, 4);
  assert.equal(steps[1].facts, undefined);
});

Deno.test("sample() of later samples from a late start is the same as within a whole run", async () => {
  const options = { grid: uniformTGrid(5, { start: 0.7 }), seed: 3 };
  const { x } = await sample(optimalFloat64(set), { ...options, count: 6, output: "tensor" });
  const { x: later } = await sample(optimalFloat64(set), {
    ...options,
    count: 3,
    first: 3,
    output: "tensor",
  });
  assert.deepEqual(later, x.slice(6));
});

Deno.test("sample() keeps the facts of the state that each step starts from, whatever the sampler", async () => {
  const options = { count: 3, batchSize: 2, grid: karrasGrid(6), trajectory: true };
  for (const sampler of [heun(), unipc()]) {
    const { steps, trajectory } = await sample(optimalFloat64(set), {
      ...options,
      sampler,
      output: "tensor",
    });
    for (const [i, { sigma, facts }] of steps.entries()) {
      const at = referencePosterior(set, trajectory![i].x, sigma).facts.entropy;
      const near = Array.from(at, (e, k) => Math.abs(e - facts!.entropy![k]));
      // UniPC evaluates at the predicted states, which are near those it steps from.
      assert.ok(
        Math.max(...near) < (sampler.name === "heun" ? 1e-12 : 1),
        `${sampler.name}, step ${i}`,
      );
    }
  }
});
