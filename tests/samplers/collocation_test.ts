import type {
  AnyTensor,
  CollocationOptions,
  CollocationStep,
  Denoiser,
} from "@closedform/diffusion";
import {
  collocation,
  Dataset,
  gaussianLaw,
  logSnrGrid,
  openDevice,
  optimal,
  sample,
} from "@closedform/diffusion";
import { arraySpace, tensorSpace } from "@closedform/diffusion/compute";
import { gaussianFlow, pointFlow, ringTarget, sphereTarget } from "@closedform/diffusion/theory";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose } from "../_helpers/tolerance.ts";
import { endOf, exactEnd, MIXTURE, POINT, stepsOf, uniformLevels } from "../_helpers/toys.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const RANGE = { sigmaMax: 40, sigmaMin: 0.005 };
const ENDS = logSnrGrid(1, RANGE).sigmas;
const TO_ZERO = [...ENDS, 0];

const ALL_MODES: readonly CollocationOptions[] = [
  {},
  { mode: "static" },
  { mode: "static", windowsInFlight: 3 },
  { mode: "published" },
  { mode: "published", exactLinear: false },
];

/** The last step of a run. */
async function last<X>(
  options: CollocationOptions,
  denoiser: Denoiser<X>,
  start: X,
  sigmas: readonly number[] = ENDS,
): Promise<CollocationStep<X>> {
  let step: CollocationStep<X> | undefined;
  for await (const at of collocation(options).run(denoiser, start, sigmas)) step = at;
  return step!;
}

/** A denoiser that notes the noise levels and samples of each call. */
function watched<X>(denoiser: Denoiser<X>) {
  const calls: { sigmas: number[]; samples: number[] | undefined }[] = [];
  const spy: Denoiser<X> = {
    ...denoiser,
    denoise(x, sigma, options) {
      const sigmas = typeof sigma === "number" ? [sigma] : Array.from(sigma);
      calls.push({ sigmas, samples: options?.samples && Array.from(options.samples) });
      return denoiser.denoise(x, sigma, options);
    },
  };
  return { spy, calls };
}

Deno.test("collocation() ends at the point of a one-point data set, in every mode", async () => {
  for (const options of ALL_MODES) {
    const steps = options.mode ? 9 : 1;
    const sigmas = logSnrGrid(steps, RANGE).sigmas;
    for (const levels of [sigmas, [...sigmas, 0]]) {
      const end = await endOf(collocation(options), POINT.flow.denoiser, POINT.start, levels);
      const exact = await POINT.flow.transport(POINT.start, 40, levels[levels.length - 1]);
      // The full drift is swept to the accuracy of its sweeps only.
      const tolerance = options.exactLinear === false && levels[levels.length - 1] > 0
        ? 1e-3
        : 1e-12;
      assertClose(end, exact, tolerance, JSON.stringify(options));
    }
  }
});

Deno.test("collocation() walks data at the origin, whose size is 0", async () => {
  const { denoiser } = pointFlow([0, 0]);
  for (const options of ALL_MODES) {
    const { x, convergence } = await last(options, denoiser, Float64Array.of(30, -20), TO_ZERO);
    assert.deepEqual([...x], [0, 0]);
    if (options.exactLinear !== false) assert.ok(convergence.converged[0]);
  }
});

Deno.test("collocation() is as good as its tolerance says", async () => {
  const exact = await exactEnd(MIXTURE);
  for (const tolerance of [1e-3, 1e-5, 1e-7, 1e-9, 1e-11]) {
    const end = await endOf(
      collocation({ tolerance }),
      MIXTURE.flow.denoiser,
      MIXTURE.start,
      uniformLevels(1),
    );
    assertClose(end, exact, 3 * tolerance, `tolerance ${tolerance}`);
  }
});

for (
  const options of [
    { mode: "static", nodes: 2 },
    { mode: "static", nodes: 3 },
    { mode: "static", nodes: 3, windowsInFlight: 3 },
    { mode: "static", nodes: 4, family: "chebyshev" },
    { mode: "published", nodes: 2 },
    { mode: "published", nodes: 3 },
    { mode: "published", nodes: 4, sweeps: 2 },
    { mode: "published", nodes: 4, exactLinear: false },
    { mode: "published", nodes: 3, family: "gauss", sweeps: 4 },
  ] satisfies CollocationOptions[]
) {
  Deno.test(`collocation(${JSON.stringify(options)}) has its order`, async () => {
    const exact = await exactEnd(MIXTURE);
    const sampler = collocation({ ...options, tolerance: 1e-14 });
    const errors: number[] = [];
    // Where the leading terms of the error all but cancel, more steps have to be taken.
    const coarse = sampler.order > 4 ? 16 : 32;
    for (const steps of [coarse, 2 * coarse]) {
      const end = await endOf(sampler, MIXTURE.flow.denoiser, MIXTURE.start, uniformLevels(steps));
      errors.push(Math.hypot(end[0] - exact[0], end[1] - exact[1]));
    }
    assertClose([Math.log2(errors[0] / errors[1])], [sampler.order], 0.25, `${errors}`);
  });
}

Deno.test("collocation() evaluates all nodes of all samples in one call, and counts as its denoiser does", async () => {
  const target = ringTarget({ seed: 1 });
  const start = target.draw(5, 40, 1);
  for (const K of [6, 8]) {
    const { spy, calls } = watched(target.denoiser);
    const sampler = collocation({ nodes: K });
    const samples = [7, 3, 9, 1, 2];
    let at: CollocationStep<Float64Array> | undefined;
    const left: number[] = [];
    for await (const step of sampler.run(spy, start, TO_ZERO, { samples })) {
      left[step.calls] = step.levels.filter((sigma) => sigma > ENDS[1]).length;
      at = step;
    }
    const { evaluations, sweeps } = at!.convergence;
    const rows = new Map<number, number>();
    let unfinished = 5;
    calls.forEach(({ sigmas, samples: seen }, i) => {
      const wanted = i === 0 ? 1 : i === calls.length - 1 ? 5 : K * unfinished;
      assert.equal(sigmas.length, wanted, `call ${i}`);
      assert.equal(seen!.length, i === 0 ? 5 : wanted);
      for (const sample of seen!) rows.set(sample, (rows.get(sample) ?? 0) + 1);
      unfinished = left[i + 1] ?? unfinished;
    });
    assert.equal(at!.calls, calls.length);
    assert.deepEqual(samples.map((s) => rows.get(s)), [...evaluations]);
    assert.deepEqual([...sweeps].map((s) => 2 + K * s), [...evaluations]);
    assertClose([at!.evaluations], [evaluations.reduce((a, b) => a + b) / 5], 1e-12, "mean");
    const levels = calls.slice(0, -1).flatMap(({ sigmas }) => sigmas);
    assert.ok(levels.every((sigma) => sigma > ENDS[1] && sigma <= 40));
  }
});

Deno.test("collocation() as published costs n(KS + 1) evaluations in n(S + 1) calls", async () => {
  const { denoiser, draw } = ringTarget();
  const start = draw(3, 40);
  const [n, K, S] = [7, 5, 3];
  for (const exactLinear of [true, false]) {
    const { spy, calls } = watched(denoiser);
    const options = { mode: "published", nodes: K, sweeps: S, exactLinear } as const;
    const first = exactLinear ? 1 : 0;
    const steps = await stepsOf(collocation(options), spy, start, [
      ...logSnrGrid(n, RANGE).sigmas,
      0,
    ]);
    assert.equal(steps.length, n + 1);
    steps.forEach(({ step, evaluations, calls }, i) => {
      const end = i === n ? 1 : 0, windows = Math.min(i + 1, n);
      assert.equal(step, i + 1);
      assert.equal(evaluations, windows * (K * S + first) + end);
      assert.equal(calls, windows * (S + first) + end);
    });
    assert.equal(calls.length, n * (S + first) + 1);
    assert.ok(calls.every(({ samples }) => new Set(samples).size === 3));
  }
});

Deno.test("collocation() with windows in flight waits less, for what it is told to count", async () => {
  const target = sphereTarget(32, { seed: 8 });
  const start = target.draw(6, 40, 8);
  const { sigmas } = logSnrGrid(9, RANGE);
  const exact = (await last({ nodes: 12, tolerance: 1e-13 }, target.denoiser, start)).x;
  const one = await last({ mode: "static" }, target.denoiser, start, sigmas);
  const { spy, calls } = watched(target.denoiser);
  const options = { mode: "static", windowsInFlight: 4 } as const;
  const four = await last(options, spy, start, [...sigmas, 0]);
  assert.ok(four.calls < 0.85 * one.calls, `${four.calls} of ${one.calls}`);
  assert.equal(four.calls, calls.length);
  const rows = new Map<number, number>();
  for (const { sigmas: levels, samples } of calls) {
    // One noise level for all rows at the start, one each from then on.
    assert.ok(levels.length === 1 || levels.length === samples!.length);
    assert.ok(levels.length <= 6 * 8 * 4);
    for (const sample of samples!) rows.set(sample, (rows.get(sample) ?? 0) + 1);
  }
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((r) => rows.get(r)), [...four.convergence.evaluations]);
  assert.deepEqual([...four.convergence.windows], [9, 9, 9, 9, 9, 9]);
  const noisy = await last(options, target.denoiser, start, sigmas);
  const away = noisy.x.map((v, i) => v - exact[i]);
  assert.ok(Math.hypot(...away) / Math.hypot(...exact) < 1e-4, `${Math.hypot(...away)}`);
});

Deno.test("collocation() gives a sample the same bits alone, in a batch of 16 and in another order", async () => {
  for (const scale of [undefined, 1]) {
    const { denoiser, draw } = sphereTarget(5, { seed: 3 });
    const start = draw(16, 40, 3);
    const row = (x: Float64Array, r: number) => x.slice(5 * r, 5 * r + 5);
    const inFlight: CollocationOptions = { mode: "static", windowsInFlight: 4 };
    for (const options of [{}, { mode: "static" } as const, inFlight]) {
      const sigmas = [...logSnrGrid(9, RANGE).sigmas, 0];
      const batch = await last({ ...options, scale }, denoiser, start, sigmas);
      const order = [3, 0, 15, 7, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14];
      const moved = Float64Array.from(order.flatMap((r) => [...row(start, r)]));
      const shuffled = await last({ ...options, scale }, denoiser, moved, sigmas);
      for (let r = 0; r < 16; r++) {
        const alone = await last({ ...options, scale }, denoiser, row(start, r), sigmas);
        assert.deepEqual(row(batch.x, r), alone.x);
        assert.deepEqual(row(shuffled.x, order.indexOf(r)), alone.x);
        assert.equal(batch.convergence.evaluations[r], alone.convergence.evaluations[0]);
      }
    }
  }
});

Deno.test("collocation() ends where it should: noise left at a positive level, the estimate at 0", async () => {
  const flow = gaussianFlow(gaussianLaw([1, -1], [0.5, 2]));
  const start = flow.draw(2, 40, 1);
  const noisy = await last({}, flow.denoiser, start, ENDS);
  assertClose(noisy.x, await flow.transport(start, 40, ENDS[1]), 1e-6, "positive end");
  assert.deepEqual([noisy.sigma, ...noisy.levels], [ENDS[1], ENDS[1], ENDS[1]]);
  const clean = await last({}, flow.denoiser, start, TO_ZERO);
  assert.deepEqual([...clean.x], [...(await flow.denoiser.denoise(noisy.x, ENDS[1])).mean]);
  assert.equal(clean.x, clean.denoised);
  assert.deepEqual([clean.sigma, ...clean.levels], [0, 0, 0]);
  const only = await last({}, flow.denoiser, start, [40, 0]);
  assert.deepEqual([...only.x], [...(await flow.denoiser.denoise(start, 40)).mean]);
  assert.deepEqual([only.calls, only.evaluations], [1, 1]);
});

Deno.test("collocation() tells the level of each row as it falls", async () => {
  const { denoiser, draw } = ringTarget();
  let before = new Float64Array(4).fill(40);
  for await (const at of collocation().run(denoiser, draw(4, 40), ENDS)) {
    assert.ok(at.levels.every((sigma, r) => sigma <= before[r]));
    assert.equal(at.sigma, Math.max(...at.levels));
    assert.equal(at.x.length, 8);
    before = at.levels.slice();
  }
  assert.deepEqual([...before], [ENDS[1], ENDS[1], ENDS[1], ENDS[1]]);
});

Deno.test("collocation() stops at the largest number of windows, and says so", async () => {
  const { denoiser, draw } = ringTarget();
  const { x, sigma, convergence } = await last({ maxWindows: 2 }, denoiser, draw(3, 40), ENDS);
  assert.deepEqual(convergence.converged, [false, false, false]);
  assert.ok(sigma > ENDS[1]);
  assert.ok(convergence.windows.every((windows, r) => windows + convergence.rejected[r] === 2));
  assert.ok(x.every(Number.isFinite));
  assert.ok(
    (await last({ maxWindows: 2 }, denoiser, draw(3, 40), TO_ZERO)).x.every(Number.isFinite),
  );
});

Deno.test("collocation() is not converged where the denoiser jumps", async () => {
  const { denoiser, draw } = sphereTarget(32, { seed: 2 });
  const jumping: typeof denoiser = {
    ...denoiser,
    async denoise(x, sigma, options) {
      const { mean } = await denoiser.denoise(x, sigma, options);
      const jumped = mean.map((v, i) => {
        const level = typeof sigma === "number" ? sigma : sigma[Math.floor(i / 32)];
        return level < 0.3 ? 1.1 * v : v;
      });
      return { mean: jumped };
    },
  };
  const { convergence } = await last({ tolerance: 1e-6 }, jumping, draw(24, 40));
  assert.ok(convergence.converged.filter((c) => c).length <= 12, `${convergence.converged}`);
});

Deno.test("collocation() has no use for roundings: eight bits cost little more than they must", async () => {
  const target = sphereTarget(32, { seed: 4 });
  const { denoiser, draw, scale } = target;
  const start = draw(24, 40, 4);
  const bits: typeof denoiser = {
    ...denoiser,
    async denoise(x, sigma, options) {
      const { mean } = await denoiser.denoise(x, sigma, options);
      const rounded = mean.map((v) => {
        const unit = 2 ** (Math.floor(Math.log2(Math.abs(v) || 1)) - 7);
        return Math.round(v / unit) * unit;
      });
      return { mean: rounded };
    },
  };
  const exact = (await last({ nodes: 12, tolerance: 1e-13, scale }, denoiser, start)).x;
  const medianError = (x: Float64Array) => {
    const errors = Array.from({ length: 24 }, (_, r) => {
      const away = x.subarray(32 * r, 32 * r + 32).map((v, c) => v - exact[32 * r + c]);
      return Math.hypot(...away) / scale;
    });
    return errors.sort((a, b) => a - b)[12];
  };
  const options = { tolerance: 1e-4, clampTolerance: false, roundoff: 2 ** -8 };
  const guarded = await last(options, bits, start);
  assert.ok(guarded.evaluations <= 400, `${guarded.evaluations} evaluations`);
  assert.ok(medianError(guarded.x) <= 5e-3, `error ${medianError(guarded.x)}`);
  const { converged, noiseLimited } = guarded.convergence;
  assert.ok(noiseLimited.some((noise) => noise));
  assert.ok(noiseLimited.every((noise, r) => !(noise && converged[r])));
  // Without the guard the windows shrink and shrink.
  const unguarded = await last({ ...options, guard: false }, bits, start);
  assert.ok(unguarded.evaluations > 600, `${unguarded.evaluations} evaluations`);
  // The tolerance of bfloat16 is 4e-3; asking for more is asking for that.
  const clamped = await last({ tolerance: 1e-6, roundoff: 2 ** -8 }, bits, start);
  assert.ok(clamped.evaluations < 200 && medianError(clamped.x) <= 1e-2);
  // Clean float64 runs do not notice it.
  for (const tolerance of [1e-4, 1e-8]) {
    const [on, off] = await Promise.all(
      [true, false].map((guard) => last({ tolerance, guard }, denoiser, start)),
    );
    assert.deepEqual(on.x, off.x);
  }
});

/** A denoiser of arrays, on tensors. */
function onTensors(denoiser: Denoiser<Float64Array>): Denoiser<AnyTensor> {
  return {
    ...denoiser,
    space: tensorSpace,
    async denoise(x, sigma, options) {
      const { mean } = await denoiser.denoise(Float64Array.from(await x.data()), sigma, options);
      return { mean: tensorSpace.from(mean, x.shape) };
    },
  } as Denoiser<AnyTensor>;
}

Deno.test("collocation() on tensors agrees with arrays, and reaches the floor of float32", async () => {
  using _device = await openDevice("wasm");
  const { denoiser, draw, scale } = sphereTarget(32, { seed: 5 });
  const start = draw(24, 40, 5);
  const exact = (await last({ nodes: 12, tolerance: 1e-13 }, denoiser, start)).x;
  const onTensor = onTensors(denoiser);
  await withoutLeaks(async () => {
    const x = tensorSpace.from(start, [24, 32]);
    for (
      const [options, expected, limit] of [
        [{ tolerance: 1e-5 }, (await last({ tolerance: 1e-5 }, denoiser, start)).x, 1e-5],
        // Below its floor a tolerance is raised: the guard is what ends the run.
        [{ tolerance: 1e-9, nodes: 6 }, exact, 2e-7],
      ] as const
    ) {
      let end: Float32Array | Float64Array = new Float32Array(0), evaluations = 0;
      for await (const at of collocation(options).run(onTensor, x, ENDS)) {
        ({ evaluations } = at);
        end = await tensorSpace.values(at.x);
      }
      const errors = Array.from({ length: 24 }, (_, r) => {
        const away = end.slice(32 * r, 32 * r + 32).map((v, c) => v - expected[32 * r + c]);
        return Math.hypot(...away) / scale;
      }).sort((a, b) => a - b);
      assert.ok(errors[12] <= limit, `median ${errors[12]}, limit ${limit}`);
      assert.ok(evaluations <= 400, `${evaluations} evaluations`);
    }
    x.dispose();
  });
});

Deno.test("collocation() leaves no tensor behind: at the end, an early return, an abort, an error", async () => {
  const set = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
  using device = await openDevice("wasm");
  using denoiser = await optimal(set, { device });
  const start = tensorSpace.from([3, 40, 20, -4], [2, 2]);
  const sigmas = [...logSnrGrid(4, RANGE).sigmas, 0];
  for (const options of ALL_MODES) {
    await withoutLeaks(async () => {
      await last(options, denoiser, start, sigmas);
      for await (const { step } of collocation(options).run(denoiser, start, sigmas)) {
        if (step === 2) break;
      }
      const controller = new AbortController();
      await assert.rejects(async () => {
        for await (
          const { step } of collocation(options).run(denoiser, start, sigmas, {
            signal: controller.signal,
          })
        ) if (step === 2) controller.abort(new TypeError("stopped"));
      }, /stopped/);
      const failing = {
        ...denoiser,
        denoise: (x: AnyTensor, sigma: number | Float64Array) =>
          (typeof sigma === "number" ? sigma : sigma[0]) < 1
            ? Promise.reject(new RangeError("no"))
            : denoiser.denoise(x, sigma),
      } as typeof denoiser;
      await assert.rejects(last(options, failing, start, sigmas), /no/);
    });
  }
  start.dispose();
});

Deno.test("collocation() holds a fixed number of tensors however long it runs", async () => {
  using device = await openDevice("wasm");
  const set = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
  using denoiser = await optimal(set, { device });
  const start = tensorSpace.from([3, 40], [1, 2]);
  for (const options of ALL_MODES) {
    const before = tf.memory().numTensors;
    const sigmas = logSnrGrid(20, RANGE).sigmas;
    for await (const _ of collocation(options).run(denoiser, start, sigmas)) {
      // Start, values, nodes now and before, last values, and what is yielded.
      assert.ok(tf.memory().numTensors - before <= 6, `${tf.memory().numTensors - before}`);
    }
  }
  start.dispose();
});

Deno.test("collocation() aborts within a call: it rejects with the reason and asks no more", async () => {
  for (const options of ALL_MODES) {
    const controller = new AbortController();
    const { denoiser, draw } = ringTarget();
    const { spy, calls } = watched(denoiser);
    const aborting: typeof spy = {
      ...spy,
      denoise(x, sigma, options) {
        if (calls.length === 2) controller.abort(new TypeError("stopped"));
        return spy.denoise(x, sigma, options);
      },
    };
    const { signal } = controller;
    await assert.rejects(async () => {
      for await (const _ of collocation(options).run(aborting, draw(2, 40), ENDS, { signal }));
    }, /stopped/);
    assert.equal(calls.length, 3);
  }
});

Deno.test("collocation() names the sample whose denoiser is not finite", async () => {
  const broken: Denoiser<Float64Array> = {
    ...ringTarget().denoiser,
    denoise: (x) => Promise.resolve({ mean: x.map((_, i) => i === x.length - 1 ? NaN : 0) }),
  };
  for (const options of [{}, { mode: "published" }] satisfies CollocationOptions[]) {
    await assert.rejects(
      last(options, broken, new Float64Array(4).fill(1)),
      /denoiser gave NaN for sample 1 of the batch/,
    );
  }
});

Deno.test("collocation() draws samples through sample(), alone as in a batch", async () => {
  const set = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
  const grid = logSnrGrid(1, { sigmaMax: 40, sigmaMin: 0.01 });
  const run = (count: number, first: number) =>
    sample(optimalFloat64(set), {
      sampler: collocation(),
      grid,
      count,
      first,
      seed: 3,
      output: "tensor",
    });
  const all = await run(5, 0);
  assert.deepEqual(all.x.slice(4, 6), (await run(1, 2)).x);
  assert.ok(all.convergence!.converged.every((c) => c));
  assert.equal(all.evaluations, all.convergence!.evaluations.reduce((a, b) => a + b) / 5);
});

Deno.test("collocation() knows the size of the data from the denoiser where it is not told", async () => {
  const { denoiser, draw, scale } = sphereTarget(32, { seed: 6 });
  const start = draw(24, 40, 6);
  const told = await last({ scale }, denoiser, start), guessed = await last({}, denoiser, start);
  assertClose([guessed.evaluations], [told.evaluations], 0.15 * told.evaluations, "evaluations");
});

Deno.test("collocation() refuses options out of range", () => {
  const bad: CollocationOptions[] = [
    { tolerance: 0 },
    { tolerance: 2e-3 },
    { tolerance: NaN },
    { nodes: 1 },
    { nodes: 17 },
    { nodes: 2.5 },
    { sweeps: 0 },
    { maxWindows: 0 },
    { mode: "static", windowsInFlight: 9 },
    { windowsInFlight: 2 },
    { scale: 0 },
    { roundoff: 1 },
    { mode: "fast" as "static" },
    { family: "lobatto" as "gauss" },
  ];
  for (const options of bad) assert.throws(() => collocation(options), RangeError);
  const { denoiser } = ringTarget();
  assert.throws(() => collocation().run(denoiser, Float64Array.of(1, 2), [1, 2]), RangeError);
  const elsewhere = { ...denoiser, space: { ...arraySpace } };
  assert.throws(() => collocation().run(elsewhere, Float64Array.of(1, 2), ENDS), TypeError);
  assert.equal(collocation().order, 12);
});
