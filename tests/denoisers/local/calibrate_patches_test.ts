import type { CalibrationOptions } from "@closedform/diffusion";
import { calibratePatches, local, moons, patchSchedule, shapes } from "@closedform/diffusion";
import { patchTable } from "../../../src/denoisers/local/patch_schedule.ts";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { equivariantFloat64, localFloat64, optimalFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();
const set = shapes(60);
const sigmas = [0.2, 0.6, 2, 8];
const wanted = patchSchedule({ sigmas, patches: [3, 5, 7, 9] });

testOnDevices(
  devices.filter(({ kind }) => kind !== "float64"),
  "calibratePatches() finds the windows of a local denoiser by what it does",
  (device) =>
    withoutLeaks(async () => {
      using target = await local(set, { device, windows: wanted });
      using denoiser = await local(set, { device });
      const told: number[] = [];
      const found = await calibratePatches(denoiser, target, {
        sigmas,
        patches: [3, 5, 7, 9, 11],
        count: 3,
        onProgress: (done, all) => told.push(done / all),
      });
      assert.deepEqual(found.patches, [3, 5, 7, 9]);
      assert.ok(found.agreement.every((cosine) => cosine > 1 - 1e-6));
      assert.deepEqual(found.choices, [3, 5, 7, 9].map((patch) => [patch, patch, patch]));
      assert.equal(told.length, 20);
      assert.equal(told.at(-1), 1);
      // What is found makes a schedule.
      assert.equal(patchSchedule(found)(100), 9);
    }),
);

Deno.test("calibratePatches() finds the windows of an equivariant denoiser too", async () => {
  const few = set.take(3);
  const target = equivariantFloat64(few, { windows: wanted });
  const found = await calibratePatches(equivariantFloat64(few), target, {
    sigmas: [2],
    patches: [5, 7],
    count: 1,
  });
  assert.deepEqual(found.patches, [7]);
});

Deno.test("calibratePatches() takes the smaller side of two that agree alike, and the lower median", async () => {
  const denoiser = localFloat64(set);
  const covering = 2 * set.shape[0] - 1;
  const same = await calibratePatches(denoiser, optimalFloat64(set), {
    sigmas: [1],
    patches: [covering, covering + 2],
    count: 2,
  });
  assert.deepEqual(same.patches, [covering]);
  const found = await calibratePatches(denoiser, optimalFloat64(set), {
    sigmas: [0.5, 5],
    count: 4,
  });
  found.choices!.forEach((row, i) => {
    assert.equal(found.patches[i], row.toSorted((a, b) => a - b)[1]);
  });
});

Deno.test("calibratePatches() by the error takes larger windows while the error does not rise", async () => {
  const denoiser = localFloat64(set), target = localFloat64(set, { windows: wanted });
  const images = shapes(70).subset([60, 61, 62, 63]);
  const options: CalibrationOptions = {
    rule: "error",
    sigmas,
    patches: [3, 5, 7, 9, 11],
    count: 4,
    images,
  };
  const found = await calibratePatches(denoiser, target, options);
  assert.ok(found.patches.every((p, i) => p >= (found.patches[i - 1] ?? 0)));
  assert.deepEqual(found.patches, [3, 5, 7, 9]);
  // At the side of the target the error is 0.
  assert.ok(found.agreement.every((error) => error < 1e-20));
  const clean = await calibratePatches(denoiser, "clean", options);
  const noise = clean.agreement.map((error, i) => error / sigmas[i] ** 2);
  assert.ok(noise.every((share) => share < 1), "denoising leaves less than the noise");
  assert.ok(clean.patches.every((p, i) => p >= (clean.patches[i - 1] ?? 0)));
});

Deno.test("calibratePatches() is at the noise levels of the published tables by default", async () => {
  const few = shapes(6);
  const found = await calibratePatches(localFloat64(few), optimalFloat64(few), {
    patches: [3],
    count: 1,
  });
  assert.deepEqual(found.sigmas, patchTable("cifar-unet").sigmas.slice(1));
  assert.deepEqual(found.patches, new Array(19).fill(3));
});

Deno.test("calibratePatches() stops on a signal and refuses what it cannot do", async () => {
  const denoiser = localFloat64(set), target = optimalFloat64(set);
  const reason = new RangeError("enough");
  await assert.rejects(
    calibratePatches(denoiser, target, { signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
  const refused = async (options: CalibrationOptions, other: typeof target | "clean" = target) => {
    await assert.rejects(calibratePatches(denoiser, other, options), RangeError);
  };
  await refused({ sigmas: [2, 1] });
  await refused({ sigmas: [0, 1] });
  await refused({ sigmas: [] });
  await refused({ patches: [5, 3] });
  await refused({ sigmas: [1], patches: [4] });
  await refused({ count: 0 });
  await refused({}, "clean");
  await refused({ rule: "error" });
  await refused({ rule: "error", images: set.take(5) });
  await assert.rejects(
    calibratePatches(denoiser, optimalFloat64(moons(5)), {}),
    TypeError,
  );
});
