import type { Denoiser } from "@closedform/diffusion";
import { Dataset, ddim, ddpmGrid, logSnrGrid, openDevice, optimal } from "@closedform/diffusion";
import { arraySpace, tensorSpace } from "@closedform/diffusion/compute";
import { gridByName } from "../../src/base/noise.ts";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose } from "../_helpers/tolerance.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

/** The denoiser of N(0, λ), whose flow is x ∝ √(λ + σ²). */
function gaussian(lambda: number, seen: number[] = []): Denoiser<Float64Array> {
  return {
    label: "Gaussian",
    references: [],
    shape: [1],
    space: arraySpace,
    denoise(x, sigma) {
      seen.push(sigma as number);
      const mean = x.map((v) => v * lambda / (lambda + (sigma as number) ** 2));
      return Promise.resolve({ mean });
    },
  };
}

async function end<X>(denoiser: Denoiser<X>, start: X, sigmas: readonly number[]): Promise<X> {
  let last: X | undefined;
  for await (const { x } of ddim().run(denoiser, start, sigmas)) last = x;
  return last!;
}

Deno.test("ddim() ends at the point of a one-point data set on every grid", async () => {
  const point = new Dataset({ data: Float32Array.of(0.5, -0.25), shape: [2], name: "a point" });
  for (const name of ["ddpm", "karras", "uniform-t"]) {
    for (const steps of [2, 10, 50]) {
      const x = await end(
        optimalFloat64(point),
        Float64Array.of(40, -9),
        gridByName(name, steps).sigmas,
      );
      assert.deepEqual([...x], [0.5, -0.25]);
    }
  }
});

Deno.test("ddim() has order one on a Gaussian flow", async () => {
  const errors = [64, 128, 256].map(async (steps) => {
    const x = await end(
      gaussian(1),
      Float64Array.of(5),
      logSnrGrid(steps, { sigmaMax: 5, sigmaMin: 0.5 }).sigmas,
    );
    return Math.abs(x[0] - 5 * Math.sqrt(1.25 / 26));
  });
  const [a, b, c] = await Promise.all(errors);
  for (const slope of [Math.log2(a / b), Math.log2(b / c)]) {
    assertClose([slope], [ddim().order], 0.1, "slope");
  }
});

Deno.test("ddim() evaluates once per step, never at sigma 0, and counts", async () => {
  const seen: number[] = [];
  const { sigmas } = ddpmGrid(10);
  let steps = 0;
  for await (const at of ddim().run(gaussian(1, seen), Float64Array.of(1), sigmas)) {
    steps++;
    assert.deepEqual([at.step, at.sigma, at.evaluations, at.calls], [
      steps,
      sigmas[steps],
      steps,
      steps,
    ]);
  }
  assert.deepEqual(seen, sigmas.slice(0, -1));
});

Deno.test("ddim() releases its tensors after a run, an early return, an abort and an error", async () => {
  const set = new Dataset({ data: Float32Array.of(-1, 0, 1, 0), shape: [2], name: "two points" });
  using device = await openDevice("wasm");
  using denoiser = await optimal(set, { device });
  const start = tensorSpace.from([3, 4], [1, 2]);
  const { sigmas } = ddpmGrid(10);
  await withoutLeaks(async () => {
    await end(denoiser, start, sigmas);
    for await (const { step } of ddim().run(denoiser, start, sigmas)) if (step === 3) break;
    const failing = {
      ...denoiser,
      denoise: (x: typeof start, sigma: number) =>
        sigma < 1 ? Promise.reject(new RangeError("no")) : denoiser.denoise(x, sigma),
    } as typeof denoiser;
    await assert.rejects(end(failing, start, sigmas), /no/);
  });
  start.dispose();
});

Deno.test("ddim() aborts during a step: it rejects with the reason and asks no more", async () => {
  const controller = new AbortController();
  const reason = new TypeError("stopped");
  const seen: number[] = [];
  const spy = gaussian(1, seen);
  const denoiser: typeof spy = {
    ...spy,
    denoise(x, sigma) {
      if (seen.length === 2) controller.abort(reason);
      return spy.denoise(x, sigma);
    },
  };
  let steps = 0;
  await assert.rejects(
    async () => {
      for await (
        const _ of ddim().run(denoiser, Float64Array.of(1), ddpmGrid(10).sigmas, {
          signal: controller.signal,
        })
      ) steps++;
    },
    (error) => error === reason,
  );
  assert.equal(steps, 2);
  assert.equal(seen.length, 3);
});

Deno.test("ddim() refuses noise levels that do not fall", async () => {
  await assert.rejects(end(gaussian(1), Float64Array.of(1), [1, 2]), RangeError);
});
