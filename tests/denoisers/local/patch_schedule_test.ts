import { ddpmGrid, patchSchedule } from "@closedform/diffusion";
import { PATCH_TABLES, patchTable } from "../../../src/denoisers/local/patch_schedule.ts";
import type { PatchTableName } from "@closedform/diffusion";
import assert from "node:assert/strict";

// The transfers to ten DDPM steps, as they were checked by hand.
const DDPM: Record<PatchTableName, number[]> = {
  "cifar-unet": [25, 25, 25, 17, 15, 11, 7, 7, 5, 3],
  "cifar-resnet-zero": [17, 17, 17, 17, 17, 11, 9, 7, 5, 3],
  "cifar-resnet-circular": [15, 15, 15, 15, 15, 11, 9, 7, 5, 3],
  "mnist-unet": [27, 27, 27, 25, 23, 17, 11, 9, 5, 3],
  "mnist-resnet-zero": [15, 15, 15, 15, 15, 13, 11, 9, 5, 3],
  "mnist-resnet-circular": [3, 3, 3, 3, 7, 9, 11, 9, 5, 3],
  "fashion-unet": [25, 25, 25, 25, 25, 21, 13, 11, 7, 3],
  "fashion-resnet-zero": [17, 17, 17, 17, 15, 13, 11, 9, 7, 3],
  "celeba-unet": [27, 27, 27, 19, 13, 9, 5, 5, 3, 3],
  "celeba-resnet-zero": [19, 19, 19, 19, 15, 11, 9, 7, 5, 3],
};
const grid = ddpmGrid(10).sigmas.slice(0, 10);

Deno.test("patchTable() has 20 odd entries that do not fall with the noise level, except of the circular network on MNIST", () => {
  assert.equal(PATCH_TABLES.length, 10);
  for (const name of PATCH_TABLES) {
    const { sigmas, patches } = patchTable(name);
    assert.equal(sigmas.length, 20);
    assert.equal(patches.length, 20);
    assert.ok(patches.every((p) => p % 2 === 1));
    const rises = patches.every((p, i) => i === 0 || p >= patches[i - 1]);
    assert.equal(rises, name !== "mnist-resnet-circular", name);
  }
});

Deno.test("patchTable() is at the noise levels of the published calibration", () => {
  const published =
    "0 .078 .157 .238 .322 .411 .505 .607 .719 .844 .988 1.15 1.36 1.60 1.92 2.35 2.98 3.98 5.89 11.0";
  published.split(" ").forEach((text, i) => {
    // Printed values are within one unit of the last digit.
    const unit = 10 ** -(text.split(".")[1]?.length ?? 0);
    const sigma = patchTable("cifar-unet").sigmas[i];
    assert.ok(Math.abs(sigma - Number(text)) <= unit, `${sigma}, wanted ${text}`);
    // A cosine schedule: the signal's share is cos².
    assert.ok(Math.abs(1 / (1 + sigma ** 2) - Math.cos(Math.PI * i / 40.32) ** 2) < 1e-15);
  });
});

Deno.test("patchSchedule() transfers every table to the ten steps of DDPM exactly", () => {
  for (const name of PATCH_TABLES) {
    assert.deepEqual(grid.map(patchSchedule(name)), DDPM[name], name);
  }
});

Deno.test("patchSchedule() takes the entry that is nearest in angle", () => {
  const schedule = patchSchedule({ sigmas: [0.1, 1, 10], patches: [1, 3, 5] });
  const between = (a: number, b: number) => Math.tan((Math.atan(a) + Math.atan(b)) / 2);
  assert.equal(schedule(1e-9), 1);
  assert.equal(schedule(between(0.1, 1) - 1e-9), 1);
  assert.equal(schedule(between(0.1, 1) + 1e-9), 3);
  assert.equal(schedule(between(1, 10) + 1e-9), 5);
  assert.equal(schedule(1e9), 5);
});

Deno.test("patchSchedule() scales published tables with the side of the images, and nothing else", () => {
  const at = (side: number) => grid.map(patchSchedule("cifar-unet", side));
  assert.deepEqual(at(64), [49, 49, 49, 33, 29, 21, 13, 13, 9, 5]);
  assert.deepEqual(at(28), [21, 21, 21, 15, 13, 9, 7, 7, 5, 3]);
  assert.ok(at(8).every((p, i, all) => p >= 1 && (i === 0 || p <= all[i - 1])));
  assert.equal(patchSchedule(7, 64)(1), 7);
  assert.equal(patchSchedule(Infinity, 64)(1), Infinity);
  assert.equal(patchSchedule((sigma) => sigma > 1 ? 9 : 3, 64)(2), 9);
  assert.equal(patchSchedule({ sigmas: [1], patches: [5] }, 64)(1), 5);
});

Deno.test("patchSchedule() refuses what is no schedule", () => {
  for (const side of [2, 0, -1, 1.5, NaN]) assert.throws(() => patchSchedule(side), RangeError);
  assert.throws(() => patchSchedule("imagenet" as PatchTableName), RangeError);
  assert.throws(() => patchTable("toString" as PatchTableName), RangeError);
  assert.throws(() => patchSchedule({ sigmas: [1, 2], patches: [3] }), TypeError);
  assert.throws(() => patchSchedule({ sigmas: [], patches: [] }), TypeError);
  assert.throws(() => patchSchedule({ sigmas: [1], patches: [4] }), RangeError);
});
