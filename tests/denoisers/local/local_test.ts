import type { AnyTensor } from "@closedform/diffusion";
import {
  Dataset,
  ddpmGrid,
  local,
  moons,
  patchSchedule,
  RandomStream,
  sample,
  shapes,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { DEFAULT_WINDOWS } from "../../../src/denoisers/local/patch_schedule.ts";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, posteriorTolerance } from "../../_helpers/tolerance.ts";
import { competition, pixelsOf } from "../../_helpers/windows.ts";
import { subsetOf } from "../../../src/denoisers/_capabilities.ts";
import { localFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();
const random = new RandomStream({ seed: 1 });
const set = new Dataset({
  data: Uint8Array.from({ length: 60 * 7 * 6 * 3 }, () => random.below(256)),
  shape: [7, 6, 3],
  labels: Uint32Array.from({ length: 60 }, (_, i) => i % 2),
  name: "noise",
});
const d = set.dimension;

function noisy(batch: number, sigma: number): Float32Array {
  const stream = new RandomStream({ seed: 2 });
  return Float32Array.from(
    { length: batch * d },
    (_, i) => set.data[i] / 127.5 - 1 + sigma * stream.normal(),
  );
}

/** The numbers of a tensor, which is disposed. */
async function valuesOf(x: AnyTensor): Promise<Float32Array> {
  const values = await tensorSpace.values(x);
  x.dispose();
  return Float32Array.from(values);
}

testOnDevices(
  devices,
  "local() is the float64 denoiser, with windows by noise level",
  (device) =>
    withoutLeaks(async () => {
      const patch = (sigma: number) => sigma > 1 ? 5 : 3;
      for (const options of [{ windows: patch }, { windows: patch, class: 1 }]) {
        using denoiser = await local(set, { device, ...options });
        const data = options.class === undefined ? set : set.classSubset(1);
        assert.equal(denoiser.count, data.count);
        assert.deepEqual(denoiser.mean!(), data.mean());
        const values = noisy(3, 1), sigmas = [4, 0.8, 0.2];
        const x = tensorSpace.from(values, [3, ...set.shape]);
        const denoised = (await denoiser.denoise(x, sigmas)).mean;
        assert.deepEqual(denoised.shape, [3, 7, 6, 3]);
        const actual = await valuesOf(denoised);
        const exact =
          (await localFloat64(set, options).denoise(Float64Array.from(values), sigmas)).mean;
        for (let q = 0; q < 3; q++) {
          const query = values.slice(q * d, (q + 1) * d);
          const what = { shape: [7, 6, 3] as const, patch: patch(sigmas[q]) };
          pixelsOf(set.shape).forEach((pixel, p) => {
            const { window, patches } = competition(data, query, what, pixel);
            const at = q * d + 3 * p;
            assertClose(
              actual.slice(at, at + 3),
              exact.slice(at, at + 3),
              posteriorTolerance(patches, window, sigmas[q]).mean,
              `query ${q}, pixel ${pixel}`,
            );
          });
        }
        x.dispose();
      }
    }),
);

Deno.test("localFloat64() with windows that cover the image is the optimal denoiser", async () => {
  const x = Float64Array.from(noisy(2, 1));
  for (const sigma of [5, 0.5]) {
    const exact = (await optimalFloat64(set).denoise(x, sigma)).mean;
    for (const patch of [13, Infinity]) {
      assertClose(
        (await localFloat64(set, { windows: patch }).denoise(x, sigma)).mean,
        exact,
        1e-12,
        `${patch}`,
      );
    }
  }
});

testOnDevices(
  devices,
  "local() denoises on subsets and regions",
  (device) =>
    withoutLeaks(async () => {
      using denoiser = await local(set, { device, windows: 3 });
      const x = tensorSpace.from(noisy(2, 1), [2, ...set.shape]);
      const subsets = [
        { rows: Uint32Array.of(4, 50, 9) },
        { rows: Uint32Array.of(7, 8), logWeights: Float64Array.of(0, 2) },
      ];
      const region = { top: 1, left: 2, height: 3, width: 2 };
      const exact = localFloat64(set, { windows: 3 });
      const state = Float64Array.from(noisy(2, 1));
      // Rounding of a few nats over some 27 numbers.
      const tolerance = 1e-4;
      const found = await subsetOf(denoiser, "test").denoiseOn(x, 1, subsets);
      assertClose(
        await valuesOf(found),
        await subsetOf(exact, "test").denoiseOn(state, 1, subsets),
        tolerance,
        "on",
      );
      const part = await subsetOf(denoiser, "test").denoiseOn(x, 1, subsets, { region });
      assert.deepEqual(part.shape, [2, 3, 2, 3]);
      const expected = await subsetOf(exact, "test").denoiseOn(state, 1, subsets, { region });
      assertClose(await valuesOf(part), expected, tolerance, "region");
      x.dispose();
    }),
);

testOnDevices(
  devices,
  "local() tells the evidence of each pixel, with windows of any side",
  (device) =>
    withoutLeaks(async () => {
      using denoiser = await local(set, { device });
      const x = tensorSpace.from(noisy(1, 1), [1, ...set.shape]);
      const all = await denoiser.perPixel(x, 1, { patch: 3 });
      const rows = Uint32Array.from({ length: 30 }, (_, i) => 2 * i);
      const half = await denoiser.perPixel(x, 1, { patch: 3, subsets: [{ rows }] });
      const rest = await denoiser.perPixel(x, 1, {
        patch: 3,
        subsets: [{ rows: rows.map((i) => i + 1) }],
      });
      // Evidence adds up, and so do means weighted by it.
      const mass = half.logNormaliser.map((l, p) => Math.exp(l - all.logNormaliser[p]));
      rest.logNormaliser.forEach((l, p) =>
        assertClose([mass[p] + Math.exp(l - all.logNormaliser[p])], [1], 1e-4, "mass")
      );
      const [a, b, whole] = await Promise.all([half, rest, all].map(({ mean }) => valuesOf(mean)));
      const mixed = a.map((v, i) => mass[Math.floor(i / 3)] * (v - b[i]) + b[i]);
      assertClose(mixed, whole, 1e-4, "mean");
      x.dispose();
    }),
);

Deno.test("local() takes one constant table by default and others by their name, scaled to its images", () => {
  const set28 = new Dataset({ data: new Uint8Array(2 * 28 * 28), shape: [28, 28, 1], name: "two" });
  for (const windows of [undefined, "cifar-unet", "mnist-unet"] as const) {
    const denoiser = localFloat64(set28, { windows });
    const table = windows ?? DEFAULT_WINDOWS;
    assert.equal(denoiser.label, `local denoiser (LS) of two, windows of ${table}`);
    for (const sigma of ddpmGrid(10).sigmas.slice(0, 10)) {
      assert.equal(denoiser.patch(sigma), patchSchedule(table, 28)(sigma));
    }
  }
  assert.match(localFloat64(set, { windows: 5 }).label, /windows of 5x5/);
});

testOnDevices(
  devices,
  "local() is sampled, stops on a signal, and leaves no tensors",
  (device) =>
    withoutLeaks(async () => {
      using denoiser = await local(shapes(40), { device });
      const { x, denoised } = await sample(denoiser, {
        count: 3,
        grid: ddpmGrid(4),
        seed: 3,
        output: "tensor",
      });
      assert.ok((await denoiser.space.values(x)).every((v) => Math.abs(v) <= 1 + 1e-6));
      // The last step goes to the estimate itself, a convex combination of data.
      assert.deepEqual(await denoiser.space.values(x), await denoiser.space.values(denoised));
      denoiser.space.dispose(x, denoised);
      const reason = new RangeError("enough");
      const signal = AbortSignal.abort(reason);
      await assert.rejects(sample(denoiser, { count: 2, signal, output: "tensor" }), (error) =>
        error === reason);
      const state = tensorSpace.from(shapes(40).values(0), [1, ...denoiser.shape]);
      await assert.rejects(denoiser.denoise(state, 1, { signal }), (error) =>
        error === reason);
      state.dispose();
    }),
);

testOnDevices(devices, "local() refuses what it cannot do", (device) =>
  withoutLeaks(async () => {
    await assert.rejects(local(moons(10), { device }), TypeError);
    await assert.rejects(local(set, { device, class: 7 }), RangeError);
    await assert.rejects(local(set, { device, windows: 4 }), RangeError);
    assert.throws(() => localFloat64(moons(10)), TypeError);
    using denoiser = await local(set, { device, windows: () => 2 });
    const x = tensorSpace.from(noisy(1, 1), [1, ...set.shape]);
    await assert.rejects(denoiser.denoise(x, 1), RangeError);
    await assert.rejects(denoiser.denoise(x, -1), RangeError);
    const wrong = tensorSpace.from([1, 2], [1, 2]);
    await assert.rejects(denoiser.denoise(wrong, 1), TypeError);
    await assert.rejects(
      Promise.resolve().then(() =>
        localFloat64(set, { windows: 3 }).denoise(Float64Array.of(1), 1)
      ),
      TypeError,
    );
    tensorSpace.dispose(x, wrong);
  }));
