import type { Denoiser, DpmV3Statistics } from "@closedform/diffusion";
import {
  Dataset,
  dpmV3,
  dpmV3Statistics,
  exponentialAdams,
  gaussianLaw,
  heun,
  karrasGrid,
  logSnrGrid,
  moons,
  openDevice,
  optimal,
  sample,
} from "@closedform/diffusion";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { Draws } from "../../src/samplers/dpm_v3/probe.ts";
import { studentLimit } from "../../src/samplers/dpm_v3/regression.ts";
import { RandomStream } from "../../src/base/random.ts";
import { withFolder } from "../_helpers/files.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { distance, endOf, GAUSSIAN, MIXTURE, stepsOf, uniformLevels } from "../_helpers/toys.ts";
import { assertClose } from "../_helpers/tolerance.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const LAW = gaussianLaw([0.5, -0.5, 0.25, 0], [4, 1, 0.25, 0.01]);
const START = Float64Array.of(40.5, -40.5, 80.25, -80);

/** Tables that say nothing about the model. */
function plainTables(intervals: number, d: number): DpmV3Statistics {
  const table = (value: number) => new Float64Array((intervals + 1) * d).fill(value);
  return { sigmaMax: 5, sigmaMin: 0.5, intervals, l: table(1), s: table(0), b: table(0) };
}

Deno.test("dpmV3() with the tables of a Gaussian takes it in one step, with the published quadrature errors", async () => {
  const exact = await GAUSSIAN.flow.transport(START, 80, 0.002);
  for (
    const [intervals, error] of [[500, 1.6e-7], [1000, 4.0e-8], [2000, 1.0e-8], [4000, 2.5e-9]]
  ) {
    const sampler = dpmV3({ statistics: gaussianStatistics(LAW, { intervals }) });
    const measured = distance(
      exact,
      await endOf(sampler, GAUSSIAN.flow.denoiser, START, [80, 0.002]),
    );
    assertClose([measured], [error], 0.04 * error, `${intervals} intervals`);
  }
});

Deno.test("dpmV3() with tables that say nothing is the exponential Adams method", async () => {
  for (const order of [1, 2, 3]) {
    const expected = await stepsOf(
      exponentialAdams(order),
      MIXTURE.flow.denoiser,
      MIXTURE.start,
      uniformLevels(12),
    );
    const errors = await Promise.all([1600, 3200].map(async (intervals) => {
      const sampler = dpmV3({
        statistics: plainTables(intervals, 2),
        order,
        corrector: false,
        pseudo: false,
      });
      const steps = await stepsOf(sampler, MIXTURE.flow.denoiser, MIXTURE.start, uniformLevels(12));
      return Math.max(...steps.map(({ x }, i) => distance(x, expected[i].x)));
    }));
    assert.ok(errors[1] < 1e-7, `order ${order}: ${errors}`);
    assertClose([errors[0] / errors[1]], [4], 0.1, `order ${order}, per doubling`);
  }
});

Deno.test("dpmV3() may start and end anywhere within its tables, which are cropped, never stretched", async () => {
  const tables = (intervals: number) => gaussianStatistics(LAW, { intervals });
  const statistics = tables(2000);
  const exact = await GAUSSIAN.flow.transport(GAUSSIAN.start, 5, 0.013);
  const error = async (tables: DpmV3Statistics) =>
    distance(
      exact,
      await endOf(dpmV3({ statistics: tables }), GAUSSIAN.flow.denoiser, GAUSSIAN.start, [
        5,
        0.013,
      ]),
    );
  // Tables are linear between their rows, so that this too is of order two in their width.
  const [coarse, fine] = [await error(statistics), await error(tables(4000))];
  assert.ok(coarse < 1e-4 && fine < coarse / 3, `${coarse}, ${fine}`);
  assert.ok(
    await error({ ...statistics, sigmaMax: 5, sigmaMin: 0.013 }) > 1e-2,
    "stretched tables",
  );
  for (const sigmas of [[90, 1], [5, 0.001]]) {
    const run = endOf(dpmV3({ statistics }), GAUSSIAN.flow.denoiser, GAUSSIAN.start, sigmas);
    await assert.rejects(run, RangeError);
  }
});

Deno.test("dpmV3() evaluates once per step and returns the last output at 0", async () => {
  const statistics = gaussianStatistics(LAW, { intervals: 60 });
  for (const corrector of [false, true]) {
    const seen: number[] = [];
    const spy: Denoiser<Float64Array> = {
      ...GAUSSIAN.flow.denoiser,
      denoise(x, sigma) {
        seen.push(sigma as number);
        return GAUSSIAN.flow.denoiser.denoise(x, sigma);
      },
    };
    const sigmas = [...logSnrGrid(6).sigmas, 0];
    const steps = await stepsOf(dpmV3({ statistics, corrector }), spy, START, sigmas);
    assert.deepEqual(seen, sigmas.slice(0, -1));
    assert.equal(steps.at(-1)!.evaluations, 7);
    assert.deepEqual(steps.at(-1)!.x, steps.at(-1)!.denoised);
    assert.ok(distance(steps.at(-1)!.x, await GAUSSIAN.flow.transport(START, 80, 0)) < 1e-2);
  }
});

Deno.test("dpmV3Statistics() of a Gaussian are its closed form", async () => {
  const set = new Dataset({
    data: Float32Array.from(GAUSSIAN.flow.draw(300, 0, 1)),
    shape: [4],
    name: "draws",
  });
  const range = { intervals: 100, sigmaMax: 40 };
  const estimated = await dpmV3Statistics(GAUSSIAN.flow.denoiser, set, { ...range, cache: false });
  const exact = gaussianStatistics(LAW, range);
  // Differences of a linear denoiser are exact up to rounding, 1e-16 · 40/(2 · 1e-3 σ).
  assertClose(estimated.l, exact.l, 1e-8, "l");
  // f is constant: there is nothing to regress on.
  assertClose(estimated.s, exact.s, 0, "s");
  // l' comes from central differences at a width of 0.1 in ln σ, and D' at 1e-3.
  assertClose(estimated.b, exact.b, 2e-3, "b");
});

Deno.test("dpmV3Statistics() are the regression of f' on f along the flow, less what its error takes", async () => {
  const { flow } = MIXTURE;
  const set = new Dataset({
    data: Float32Array.from(flow.draw(500, 0, 1)),
    shape: [2],
    name: "draws",
  });
  const [intervals, samples] = [200, 40];
  const { l, s, b } = await dpmV3Statistics(flow.denoiser, set, {
    intervals,
    samples,
    sigmaMax: 5,
    sigmaMin: 0.05,
    cache: false,
  });
  const row = 110, width = Math.log(100) / intervals, eta = 1e-4;
  const sigma = 5 * Math.exp(-row * width);
  const x = new Draws(set, samples, 0).noised(sigma, 0, samples);
  // f at three times on the exact trajectories, with l between the rows as a parabola.
  const f = await Promise.all([-eta, 0, eta].map(async (t) => {
    const at = await flow.transport(x, sigma, sigma * Math.exp(-t));
    const denoised = (await flow.denoiser.denoise(at, sigma * Math.exp(-t))).mean;
    return at.map((v, k) => {
      const [before, here, after] = [row - 1, row, row + 1].map((j) => l[2 * j + k % 2]);
      const share = here + (after - before) / 2 * (t / width) +
        (after - 2 * here + before) / 2 * (t / width) ** 2;
      return (1 - share) * v - denoised[k];
    });
  }));
  for (const c of [0, 1]) {
    const [values, rates] = [f[1], f[2].map((v, k) => (v - f[0][k]) / (2 * eta))].map((all) =>
      Array.from(all).filter((_, k) => k % 2 === c)
    );
    const mean = (list: number[]) => list.reduce((sum, v) => sum + v, 0) / list.length;
    const fit = (kept: number[]) => {
      const mf = mean(kept.map((i) => values[i])), mr = mean(kept.map((i) => rates[i]));
      return mean(kept.map((i) => (values[i] - mf) * (rates[i] - mr))) /
        mean(kept.map((i) => (values[i] - mf) ** 2));
    };
    const all = values.map((_, i) => i), [mf, mr] = [mean(values), mean(rates)];
    const raw = fit(all);
    // The error by its definition: fits that leave out one draw each.
    const changes = all.map((i) => (fit(all.filter((k) => k !== i)) - raw) ** 2);
    const powers = [2, 4].map((power) => mean(values.map((v) => (v - mf) ** power)) * samples);
    const error = studentLimit(powers[0] ** 2 / powers[1] - 1) *
      Math.sqrt((samples - 1) * mean(changes));
    const slope = raw * Math.max(0, 1 - (error / raw) ** 2);
    if (c === 0) {
      assert.ok(Math.abs(slope) > Math.abs(raw) / 2, "what is compared is not all error");
    }
    assertClose([s[2 * row + c]], [slope], 1e-4, `s, coordinate ${c}`);
    assertClose([b[2 * row + c]], [mr - slope * mf], 1e-4, `b, coordinate ${c}`);
  }
});

Deno.test("dpmV3() with estimated tables needs fewer steps than methods without", async () => {
  const { flow } = MIXTURE;
  const set = new Dataset({
    data: Float32Array.from(flow.draw(500, 0, 1)),
    shape: [2],
    name: "draws",
  });
  const statistics = await dpmV3Statistics(flow.denoiser, set, { cache: false });
  const start = flow.draw(64, 80, 7);
  const exact = await flow.transport(start, 80, 0.002);
  const { sigmas } = logSnrGrid(8);
  const median = async (sampler: ReturnType<typeof dpmV3>) => {
    const x = await endOf(sampler, flow.denoiser, start, sigmas);
    const errors = Array.from(
      { length: 64 },
      (_, r) => Math.hypot(x[2 * r] - exact[2 * r], x[2 * r + 1] - exact[2 * r + 1]),
    );
    return errors.sort((p, q) => p - q)[32];
  };
  const [fitted, plain] = [await median(dpmV3({ statistics })), await median(exponentialAdams(3))];
  assert.ok(fitted < plain / 2, `${fitted} with tables, ${plain} without`);
});

Deno.test("dpmV3Statistics() do not depend on batches, and are kept on disk for their denoiser", async () => {
  const set = moons(50);
  await withFolder(async (folder) => {
    let rows = 0;
    const base = optimalFloat64(set);
    const counted: Denoiser<Float64Array> = {
      ...base,
      denoise(x, sigma, options) {
        rows += x.length / 2;
        return base.denoise(x, sigma, options);
      },
    };
    const options = { intervals: 10, samples: 12, cache: folder };
    const first = await dpmV3Statistics(counted, set, options);
    assert.equal(rows, 3 * 4 + 11 * 12 * 5);
    rows = 0;
    const again = await dpmV3Statistics(counted, set, options);
    assert.equal(rows, 3 * 4);
    const inParts = await dpmV3Statistics(counted, set, { ...options, batchSize: 5, cache: false });
    assert.deepEqual(again.facts, first.facts);
    for (const name of ["l", "s", "b"] as const) {
      assertClose(again[name], first[name], 0, name);
      assertClose(inParts[name], first[name], 0, name);
    }
    // Another denoiser under the same name is told by its answers.
    rows = 0;
    const other = {
      ...counted,
      denoise: async (...args: Parameters<typeof counted.denoise>) => {
        return { mean: (await counted.denoise(...args)).mean.map((v) => v / 2) };
      },
    };
    await dpmV3Statistics(other, set, options);
    assert.ok(rows > 3 * 4);
  });
});

Deno.test("dpmV3() and its statistics on tensors agree with float64, and leak nothing", async () => {
  const set = moons(200);
  using device = await openDevice("wasm");
  using denoiser = await optimal(set, { device });
  const options = { intervals: 40, samples: 32, sigmaMin: 0.02, cache: false } as const;
  await withoutLeaks(async () => {
    const [float32, float64] = [
      await dpmV3Statistics(denoiser, set, options),
      await dpmV3Statistics(optimalFloat64(set), set, options),
    ];
    // Differences are coarser in float32: 0.05 instead of 1e-3, second order, and curvatures of the data's scale.
    const median = (table: Float64Array, other: Float64Array) =>
      table.map((v, k) => Math.abs(v - other[k])).sort()[Math.floor(table.length / 2)];
    assert.ok(median(float32.l, float64.l) < 1e-2);
    const { space } = denoiser;
    const start = space.from([50, -60, 30, 90], [2, 2]);
    const end = async <X>(d: Denoiser<X>, x: X) => {
      for await (
        const at of dpmV3({ statistics: float64 }).run(
          d,
          x,
          logSnrGrid(10, { sigmaMin: 0.02 }).sigmas,
        )
      ) {
        if (at.step === 10) return await d.space.values(at.x);
      }
    };
    const exact = await end(optimalFloat64(set), Float64Array.of(50, -60, 30, 90));
    assertClose((await end(denoiser, start))!, exact!, 1e-3, "states");
    start.dispose();
  });
});

/** Twelve numbers: four that vary, two that never do, and three each that differ in 1 and in 3 items of 300. */
function rareNumbers(seed: number): Dataset {
  const d = 12, count = 300, data = new Float32Array(count * d);
  for (let i = 0; i < count; i++) {
    const stream = new RandomStream({ seed, sample: i, purpose: "data" });
    for (let c = 0; c < d; c++) data[i * d + c] = c < 4 ? 0.5 * stream.normal() : -1;
  }
  const items = new RandomStream({ seed, sample: count, purpose: "data" });
  for (let c = 6; c < d; c++) {
    for (let k = 0; k < (c < 9 ? 1 : 3); k++) data[items.below(count) * d + c] = 1;
  }
  return new Dataset({ data, shape: [d], name: "rare numbers" });
}

Deno.test("dpmV3() is not misled by coordinates that differ in 1 or 3 of 300 items", async () => {
  using device = await openDevice("wasm");
  for (const seed of [2, 3]) {
    const set = rareNumbers(seed);
    using float32 = await optimal(set, { device });
    const denoisers = [optimalFloat64(set), float32] as readonly Denoiser<unknown>[];
    for (const denoiser of denoisers) {
      const statistics = await dpmV3Statistics(denoiser, set, { cache: false, seed });
      const { l, s, intervals, facts } = statistics;
      const width = Math.log(80 / 0.002) / intervals;
      let most = 0;
      for (let c = 0; c < 12; c++) {
        const column = Array.from({ length: intervals + 1 }, (_, j) => s[j * 12 + c]);
        const sums = column.map((_, j) =>
          width * column.slice(0, j).reduce((sum, v) => sum + v, 0)
        );
        most = Math.max(most, Math.max(...sums) - Math.min(...sums));
        if (c === 4 || c === 5) assert.ok(column.every((v) => v === 0), "s of a constant");
      }
      // Sums instead of trapezia: half a row of s more at either end.
      assert.ok(most < 8 + width * 10, `the integral of s is ${most}`);
      assert.ok(l.every((v) => v >= 0 && v <= 1), "l is a share");
      assert.ok(facts!.withoutS >= 2 && facts!.withoutS <= 8, `${facts!.withoutS} without s`);
      assert.equal(facts!.coordinates, 12);
      for (const grid of [karrasGrid(18), logSnrGrid(10), logSnrGrid(18)]) {
        const [fitted, usual] = await Promise.all(
          [dpmV3({ statistics }), heun()].map(async (sampler) => {
            const { x, denoised } = await sample(denoiser, {
              count: 24,
              grid,
              sampler,
              seed,
              output: "tensor",
            });
            const values = Float64Array.from(await denoiser.space.values(x));
            denoiser.space.dispose(x, denoised);
            return nearestItems(set, values);
          }),
        );
        const worst = Math.max(...fitted.distances), different = new Set(fitted.items).size;
        // Ends of few steps are near items: within half of the spread of a number.
        assert.ok(worst < 0.25, `${grid.name}: ${worst} off`);
        assert.ok(
          different >= new Set(usual.items).size / 2,
          `${grid.name}: ${different} different ends, ${new Set(usual.items).size} usually`,
        );
      }
    }
  }
});

Deno.test("dpmV3Statistics() give up s where it adds up to more than 8, and say of how many coordinates", async () => {
  const [sigmaMax, sigmaMin, intervals] = [80, 1, 40];
  const zeros = new Dataset({ data: new Float32Array(6), shape: [2], name: "zeros" });
  for (const [power, bounded] of [[1, 0], [4, 1]]) {
    // Outputs that grow by σ^−power, so that s ≈ power for ln 80 = 4.4: in the first coordinate; none in the second.
    const growing: Denoiser<Float64Array> = {
      ...optimalFloat64(zeros),
      denoise: (x, sigma) =>
        Promise.resolve({
          mean: x.map((v, k) => {
            const level = typeof sigma === "number" ? sigma : sigma[k >> 1];
            return k % 2 ? 0 : 1e-3 * level ** -power * Math.sin(v / level);
          }),
        }),
    };
    const range = { sigmaMax, sigmaMin, intervals, cache: false } as const;
    const { s, facts } = await dpmV3Statistics(growing, zeros, range);
    assert.deepEqual(facts, {
      coordinates: 2,
      withoutL: 1,
      withoutS: 1 + bounded,
      uncertain: 0,
      bounded,
    });
    const column = s.filter((_, at) => at % 2 === 0);
    if (bounded) assert.ok(column.every((v) => v === 0));
    // Slopes of l are one-sided at the ends, and between rows 0.11 apart elsewhere, where 1 − l falls by σ⁻².
    else assertClose(column.slice(1, -1), column.slice(1, -1).fill(power), 0.03, "s");
  }
});

/** The item that each row is nearest to, and how far away. */
function nearestItems(set: Dataset, rows: Float64Array): { items: number[]; distances: number[] } {
  const d = set.dimension, items: number[] = [], distances: number[] = [];
  for (let at = 0; at < rows.length; at += d) {
    const row = rows.subarray(at, at + d);
    const each = Array.from({ length: set.count }, (_, i) => distance(set.values(i), row));
    distances.push(Math.min(...each));
    items.push(each.indexOf(distances.at(-1)!));
  }
  return { items, distances };
}

Deno.test("dpmV3Statistics() stop when their signal says so", async () => {
  const controller = new AbortController();
  const reason = new TypeError("stopped");
  const run = dpmV3Statistics(optimalFloat64(moons(20)), moons(20), {
    cache: false,
    signal: controller.signal,
    onProgress: (done) => done === 3 && controller.abort(reason),
  });
  await assert.rejects(run, (error) => error === reason);
});

Deno.test("dpmV3() and its statistics refuse what does not fit", async () => {
  const statistics = gaussianStatistics(LAW, { intervals: 4 });
  assert.throws(() => dpmV3({ statistics, order: 4 }), RangeError);
  assert.throws(() => dpmV3({ statistics: { ...statistics, intervals: 5 } }), TypeError);
  assert.throws(() => dpmV3({ statistics: { ...statistics, sigmaMin: 100 } }), RangeError);
  assert.throws(
    () => dpmV3({ statistics: { ...statistics, b: statistics.b.map(() => NaN) } }),
    RangeError,
  );
  assert.throws(() => gaussianStatistics(gaussianLaw([0, 0], [1, 0.5, 0.5, 1])), TypeError);
  const sampler = dpmV3({ statistics });
  await assert.rejects(endOf(sampler, MIXTURE.flow.denoiser, MIXTURE.start, [5, 1]), TypeError);
  const set = moons(20), denoiser = optimalFloat64(set);
  for (const options of [{ samples: 1 }, { intervals: 0 }, { batchSize: 0.5 }, { sigmaMin: 100 }]) {
    await assert.rejects(dpmV3Statistics(denoiser, set, options), RangeError);
  }
  await assert.rejects(dpmV3Statistics(GAUSSIAN.flow.denoiser, set, { cache: false }), TypeError);
});
