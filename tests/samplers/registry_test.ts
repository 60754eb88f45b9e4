import type { Denoiser, SamplerName, Sigma } from "@closedform/diffusion";
import {
  ddpmGrid,
  gaussianLaw,
  karrasGrid,
  logSnrGrid,
  moons,
  openDevice,
  optimal,
  SAMPLER_NAMES,
  uniformTGrid,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { gaussianStatistics } from "@closedform/diffusion/theory";
import { samplerByName, takesTolerance } from "../../src/samplers/registry.ts";
import { pointFlow } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { distance, endOf, MIXTURE, stepsOf } from "../_helpers/toys.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const { flow } = MIXTURE;
/** Tables that say nothing about the data: the sampler is then exponential Adams' method. */
const statistics = (d: number) =>
  gaussianStatistics(gaussianLaw(new Float64Array(d), 0), {
    sigmaMax: 200,
    sigmaMin: 1e-3,
    intervals: 200,
  });
const make = (name: SamplerName) => samplerByName(name, { statistics: statistics(2) });

/** Files of src/samplers that are no sampler of their own. */
const OTHERS = [
  "end_estimate",
  "multistep",
  "registry",
  "respaced_grid",
  "run",
  "sample",
  "sample_steps",
  "sampler",
];

Deno.test("the registry names every sampler there is", () => {
  for (const name of SAMPLER_NAMES) assert.equal(make(name).name, name);
  assert.equal(new Set(SAMPLER_NAMES).size, SAMPLER_NAMES.length);
  const files = Array.from(Deno.readDirSync(new URL("../../src/samplers", import.meta.url)))
    .filter(({ isFile, name }) => isFile && !name.startsWith("_"))
    .map(({ name }) => name.replace(".ts", ""))
    .filter((name) => !OTHERS.includes(name));
  // exponential_adams.ts holds exp-ab-k; the others are named as their file, or begin with it.
  const registered = (file: string) =>
    SAMPLER_NAMES.some((name) =>
      name.replaceAll("-", "_").startsWith(file.replace("exponential_adams", "exp_ab"))
    );
  assert.deepEqual(files.filter((file) => !registered(file)), []);
});

Deno.test("samplerByName() refuses other names, and tolerances where there are none", () => {
  assert.throws(() => samplerByName("magic"), RangeError);
  assert.throws(() => samplerByName("toString"), RangeError);
  assert.throws(() => samplerByName("dpm-v3"), TypeError);
  for (const name of SAMPLER_NAMES) {
    const request = { tolerance: 1e-4, statistics: statistics(2) };
    if (takesTolerance(name)) assert.equal(samplerByName(name, request).name, name);
    else assert.throws(() => samplerByName(name, request), RangeError);
  }
});

/** A denoiser that counts calls and rows, and listens. */
function spy(hear: (levels: readonly number[], samples: readonly number[]) => void = () => {}) {
  const seen = { calls: 0, rows: 0 };
  const denoiser: Denoiser<Float64Array> = {
    ...flow.denoiser,
    denoise(x, sigma: Sigma, options) {
      const rows = x.length / 2;
      const levels = typeof sigma === "number" ? new Array(rows).fill(sigma) : Array.from(sigma);
      const samples = options?.samples ? Array.from(options.samples) : [];
      hear(levels, samples);
      seen.calls++;
      seen.rows += rows;
      return flow.denoiser.denoise(x, sigma, options);
    },
  };
  return { seen, denoiser };
}

const GRIDS = [ddpmGrid(9), karrasGrid(6), logSnrGrid(7, { sigmaMin: 0.01 }), uniformTGrid(8)];

for (const name of SAMPLER_NAMES) {
  Deno.test(`${name}: all of a run is as the interface says, on every grid`, async () => {
    for (const { sigmas } of GRIDS) {
      const { seen, denoiser } = spy((levels, samples) => {
        assert.ok(levels.every((level) => level > 0 && level < sigmas[0] * (1 + 1e-12)), "levels");
        assert.equal(samples.length, levels.length, "one sample per row");
        assert.ok(samples.every((sample) => sample >= 40 && sample < 43), "samples");
      });
      const start = flow.draw(3, sigmas[0], 2);
      const before = start.slice();
      const steps = await stepsOf(make(name), denoiser, start, sigmas, { samples: [40, 41, 42] });
      const last = steps.at(-1)!;
      assert.deepEqual(start, before);
      assert.deepEqual(steps.map(({ step }) => step), steps.map((_, i) => i + 1));
      assert.equal(last.calls, seen.calls);
      assert.ok(Math.abs(last.evaluations - seen.rows / 3) < 1e-9);
      assert.equal(last.sigma, sigmas.at(-1));
      assert.ok(last.x.every(Number.isFinite) && last.denoised.every(Number.isFinite));
      if (last.sigma === 0) assert.deepEqual(last.x, last.denoised);
      else assert.ok(distance(last.x, last.denoised) > 1e-6, "noise is left");
      for (let i = 1; i < steps.length; i++) {
        assert.ok(
          steps[i].sigma <= steps[i - 1].sigma && steps[i].evaluations >= steps[i - 1].evaluations,
        );
      }
      if (last.convergence) {
        for (const values of Object.values(last.convergence)) assert.equal(values.length, 3);
        const mean = last.convergence.evaluations.reduce((a, b) => a + b) / 3;
        assert.ok(Math.abs(mean - last.evaluations) < 1e-9);
      } else {
        assert.equal(steps.length, sigmas.length - 1);
      }
    }
  });

  Deno.test(`${name}: every trajectory of a single point ends there`, async () => {
    const point = pointFlow([0.5, -2]);
    for (const { sigmas } of GRIDS) {
      const start = Float64Array.of(40, -9, 3, 0.1);
      const end = await endOf(make(name), point.denoiser, start, sigmas);
      const exact = await point.transport(start, sigmas[0], sigmas.at(-1)!);
      // Methods that adapt have their tolerance, and dpm-v3 the quadrature of its tables.
      const approximate = sigmas.at(-1)! > 0 && (takesTolerance(name) || name === "dpm-v3");
      assert.ok(distance(end, exact) < (approximate ? 1e-3 : 1e-12), `${distance(end, exact)}`);
    }
  });

  Deno.test(`${name}: a sample has the same bits alone and in a batch of 16`, async () => {
    const { sigmas } = karrasGrid(8);
    const start = flow.draw(16, sigmas[0], 4);
    const together = await endOf(make(name), flow.denoiser, start, sigmas);
    for (const row of [0, 5, 15]) {
      const alone = await endOf(
        make(name),
        flow.denoiser,
        start.slice(2 * row, 2 * row + 2),
        sigmas,
      );
      assert.deepEqual([...alone], [...together.slice(2 * row, 2 * row + 2)]);
    }
  });

  Deno.test(`${name}: an abort within a call rejects with the reason and asks no more`, async () => {
    const controller = new AbortController();
    const reason = new TypeError("stopped");
    const { seen, denoiser } = spy(() => {
      if (seen.calls === 2) controller.abort(reason);
    });
    const { sigmas } = karrasGrid(8);
    const run = stepsOf(make(name), denoiser, MIXTURE.start, sigmas, { signal: controller.signal });
    await assert.rejects(run, (error) => error === reason);
    assert.equal(seen.calls, 3);
  });
}

const set = moons(60);

Deno.test("samplers on tensors agree with those on arrays, and leave no tensor behind", async () => {
  using device = await openDevice("wasm");
  using denoiser = await optimal(set, { device });
  const { sigmas } = logSnrGrid(8, { sigmaMax: 20, sigmaMin: 0.2 });
  const numbers = [30, -12, 5, 8, -20, 3];
  const start = tensorSpace.from(numbers, [3, 2]);
  for (const name of SAMPLER_NAMES) {
    await withoutLeaks(async () => {
      let values: Float32Array | Float64Array | undefined;
      for await (const { x, denoised, sigma } of make(name).run(denoiser, start, sigmas)) {
        values = await tensorSpace.values(x);
        // Until the next step both are there to be read.
        const output = await tensorSpace.values(denoised);
        assert.ok(output.every(Number.isFinite), `${name} at ${sigma}`);
      }
      const exact = await endOf(
        make(name),
        optimalFloat64(set),
        Float64Array.from(numbers),
        sigmas,
      );
      // Roundings of 1e-7 of the start's 30, which the flow shrinks but for a separatrix on the way.
      assert.ok(distance(values!, exact) < 1e-4, `${name}: ${distance(values!, exact)}`);

      for await (const _ of make(name).run(denoiser, start, [...sigmas, 0])) break;
      let calls = 0;
      const failing = {
        ...denoiser,
        denoise: (...args: Parameters<typeof denoiser.denoise>) =>
          ++calls === 3 ? Promise.reject(new RangeError("no")) : denoiser.denoise(...args),
      } as typeof denoiser;
      await assert.rejects(async () => {
        for await (const _ of make(name).run(failing, start, [...sigmas, 0]));
      }, /no/);
      const controller = new AbortController();
      await assert.rejects(async () => {
        for await (const _ of make(name).run(denoiser, start, sigmas, controller)) {
          controller.abort();
        }
      });
    });
  }
  assert.deepEqual([...await tensorSpace.values(start)], numbers);
  start.dispose();
});
