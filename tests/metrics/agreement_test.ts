import {
  agreement,
  denoiserAgreement,
  errorToFullScan,
  moons,
  openDevice,
  optimal,
  shapes,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

const EPSILON = 2 ** -52;

Deno.test("agreement() gives the numbers of NumPy in both conventions", () => {
  // rng = numpy.random.default_rng(5); p = rng.normal(0, .8, (3, 6)).round(4);
  // q = rng.normal(0, .6, (3, 6)).clip(-1, 1).round(4); var with ddof=1, corrcoef per row.
  // deno-fmt-ignore
  const p = Float64Array.of(
    -0.6415, -1.0595, -0.1987, 0.3364, 0.9088, 0.0878,
    -0.4421, -0.6278, 0.599, 1.3078, 0.2182, -0.9867,
    -0.7666, 1.28, 0.1623, -1.3857, -0.067, -0.9306,
  );
  // deno-fmt-ignore
  const q = Float64Array.of(
    -0.3776, -0.2928, -0.428, 0.332, -0.0379, -0.3537,
    0.2458, 0.4979, -0.9858, -0.154, -0.5884, -0.1039,
    -0.7737, 0.0124, -0.0227, -0.1826, -0.6288, -0.2377,
  );
  const { unit, raw, pearson } = agreement(p, q, { dimension: 6 });
  // The pinned values have 15 to 17 digits; six numbers per row are summed.
  const close = (a: number, b: number) =>
    assert.ok(Math.abs(a - b) <= 32 * EPSILON * Math.max(1, Math.abs(b)), `${a} ${b}`);
  close(raw.mse.mean, 0.7502385611111112);
  close(raw.mse.median, 0.647377405);
  close(raw.rSquared.mean, -3.7192815530251235);
  close(unit.mse.mean, 0.15556515222222222);
  close(unit.mse.median, 0.10306256583333334);
  close(unit.rSquared.mean, -2.761916304146121);
  close(pearson.mean, 0.14016819300826455);
  close(pearson.median, 0.38808121626560066);
});

Deno.test("denoiserAgreement() compares outputs on one input, and leaves no tensor behind", async () => {
  using device = await openDevice("wasm");
  const data = shapes(60, { size: 8 });
  using ours = await optimal(data.take(30), { device });
  using theirs = await optimal(data, { device });
  const x = tensorSpace.from(startNoise(1, 0, 3, 192).map((e) => 2 * e), [3, 8, 8, 3]);
  await withoutLeaks(async () => {
    const found = await denoiserAgreement(ours, theirs, x, 2);
    const [a, b] = [(await ours.denoise(x, 2)).mean, (await theirs.denoise(x, 2)).mean];
    const wanted = agreement(await tensorSpace.values(a), await tensorSpace.values(b), {
      dimension: 192,
    });
    assert.deepEqual(found.unit.mse.perSample, wanted.unit.mse.perSample);
    assert.deepEqual(found.pearson.perSample, wanted.pearson.perSample);
    assert.ok(found.raw.mse.mean > 0);
    tensorSpace.dispose(a, b);
  });
  x.dispose();
});

Deno.test("errorToFullScan() is the root mean square over the numbers of each row", async () => {
  const data = moons(80), x = Float64Array.of(2, 1, -1, 0.5, 0.1, 0.1);
  const [part, full] = [optimalFloat64(data.take(20)), optimalFloat64(data)];
  const { mse, rms, worst } = await errorToFullScan(part, full, x, [3, 0.5, 1]);
  const [a, b] = [
    (await part.denoise(x, [3, 0.5, 1])).mean,
    (await full.denoise(x, [3, 0.5, 1])).mean,
  ];
  for (let q = 0; q < 3; q++) {
    const square = (a[2 * q] - b[2 * q]) ** 2 + (a[2 * q + 1] - b[2 * q + 1]) ** 2;
    assert.ok(Math.abs(rms[q] - Math.sqrt(square / 2)) <= 8 * EPSILON);
    assert.ok(Math.abs(mse.perSample[q] - square / 2) <= 8 * EPSILON);
  }
  assert.equal(worst, Math.max(...rms));
  const none = await errorToFullScan(full, full, x, 1);
  assert.equal(none.worst, 0);
});

Deno.test("denoiserAgreement() and errorToFullScan() refuse denoisers of other shapes, and stop", async () => {
  const points = optimalFloat64(moons(10)), images = optimalFloat64(shapes(6, { size: 8 }));
  for (const compare of [denoiserAgreement, errorToFullScan]) {
    await assert.rejects(() => compare(points, images, Float64Array.of(0, 0), 1), {
      name: "TypeError",
      message: "Cannot compare denoisers: they work on shapes [2] and [8,8,3], wanted equal shapes",
    });
    const signal = AbortSignal.abort(new RangeError("enough"));
    await assert.rejects(
      () => compare(points, points, Float64Array.of(0, 0), 1, { signal }),
      /enough/,
    );
  }
});
