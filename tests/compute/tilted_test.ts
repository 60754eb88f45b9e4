import { storedData } from "../../src/compute/posterior.ts";
import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import { openWasm } from "../../src/compute/wasm/device.ts";
import { capabilitiesOf } from "../../src/denoisers/_capabilities.ts";
import type { Tilts } from "../../src/compute/tilted.ts";
import { Dataset } from "../../src/datasets/dataset.ts";
import type { Denoiser } from "../../src/denoisers/denoiser.ts";
import { optimal } from "../../src/denoisers/optimal.ts";
import { smoothed } from "../../src/denoisers/smoothed.ts";
import type { SmoothedOptions } from "../../src/denoisers/smoothed.ts";
import { tensorSpace } from "../../src/states/linear_space.ts";
import { uniformTGrid } from "../../src/base/noise.ts";
import { startNoise } from "../../src/base/random.ts";
import { sample } from "../../src/samplers/sample.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { optimalFloat64 } from "../_helpers/float64.ts";

/** Standard normal items, as floats or as bytes. */
function items(count: number, dimension: number, bytes: boolean): Dataset {
  const z = startNoise(5, 0, count, dimension);
  const data = bytes
    ? Uint8Array.from(z, (v) => Math.max(0, Math.min(255, 128 + 40 * v)))
    : Float32Array.from(z);
  return new Dataset({ data, shape: [dimension], name: "normal items" });
}

/** The denoiser without its cheap way. */
function plain<X>(denoiser: Denoiser<X>): Denoiser<X> {
  return { ...denoiser, denoise: (...args) => denoiser.denoise(...args) };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** Noisy items: row `i` is item `7i` plus noise. */
function queries(set: Dataset, rows: number, sigma: number): Float32Array {
  return Float32Array.from(
    startNoise(1, 0, rows, set.dimension),
    (e, at) => sigma * e + set.values(7 * Math.floor(at / set.dimension))[at % set.dimension],
  );
}

const SHAPES = [
  { count: 3001, dimension: 128, bytes: false },
  { count: 500, dimension: 9, bytes: false },
  { count: 1001, dimension: 300, bytes: true },
  { count: 800, dimension: 5, bytes: true },
];

for (const { count, dimension, bytes } of SHAPES) {
  const name = `${count} x ${dimension} ${bytes ? "bytes" : "floats"}`;
  Deno.test(`tilted posteriors are means over perturbed queries, ${name}`, async () => {
    using device = await openWasm("test");
    const set = items(count, dimension, bytes);
    const exact = optimalFloat64(set);
    await withoutLeaks(async () => {
      using base = await optimal(set, { device });
      for (const drawKind of ["fixed", "antithetic"] as const) {
        for (const [sigma, bandwidth] of [[15, 1], [2, .5], [.5, .2], [.05, .05], [.005, .05]]) {
          const options: SmoothedOptions = {
            bandwidth,
            draws: drawKind === "fixed" ? 3 : 4,
            drawKind,
          };
          const values = queries(set, 6, sigma);
          const wanted = (await (await smoothed(plain(exact), options)).denoise(
            Float64Array.from(values),
            sigma,
          )).mean;
          const cheap =
            (await (await smoothed(exact, options)).denoise(Float64Array.from(values), sigma)).mean;
          // Squared distances q² of at most d(3 + 2s)² and products as large, off by a few 2^-53 of themselves, over
          // σ²; weights move by that, within data of at most 5.
          const reach = dimension * (3 * (1 + sigma) + 2 * bandwidth * (1 + sigma)) ** 2;
          const logit = (epsilon: number) => 8 * epsilon * reach / sigma ** 2;
          assert.ok(largestDifference(cheap, wanted) < 5 * (2 ** -50 + logit(2 ** -53)));
          const x = tensorSpace.from(values, [6, dimension]);
          const denoised = (await (await smoothed(base, options)).denoise(x, sigma)).mean;
          const error = largestDifference(await tensorSpace.values(denoised), wanted);
          assert.ok(error < 5 * (2 ** -20 + logit(2 ** -24)), `${sigma}: ${error}`);
          // Where float32 has digits to spare they are used.
          if (sigma > 1) assert.ok(error < 2e-5, `${sigma}: ${error}`);
          tensorSpace.dispose(x, denoised);
        }
      }
    });
  });
}

/** How far off the log-odds of two near items are, in nats, for queries that lean to one or the other, at a level. */
async function oddsErrors(sigma: number): Promise<number[]> {
  // Two items on both sides of a point far from the origin, and others far away. By products in float32 alone, with
  // squared norms of 1000, their logits would be off by 1e-4/σ² nats at most, and by about a third of that here.
  const d = 3072, apart = .1, count = 40;
  const far = startNoise(2, 0, count, d).map((v) => v * Math.sqrt(1000 / d));
  const side = startNoise(3, 0, 1, d).map((v) => v / Math.sqrt(d));
  const data = Float32Array.from(far);
  const near = far.slice(0, d);
  for (let c = 0; c < d; c++) {
    data[c] = near[c] + apart / 2 * side[c];
    data[d + c] = near[c] - apart / 2 * side[c];
  }
  const set = new Dataset({ data, shape: [d], name: "a near tie" });
  using device = await openWasm("test");
  using base = await optimal(set, { device });
  const options: SmoothedOptions = { bandwidth: 1e-4, draws: 2 };
  const weight = (mean: ArrayLike<number>) => {
    let along = 0, square = 0;
    for (let c = 0; c < d; c++) {
      const step = data[c] - data[d + c];
      along += (mean[c] - data[d + c]) * step;
      square += step * step;
    }
    return along / square;
  };
  const errors: number[] = [];
  for (const lean of [-2, -.5, 0, 1]) {
    // This far to one side, the logits differ by so many nats.
    const query = Float32Array.from(near, (v, c) => v + lean * sigma ** 2 / apart * side[c]);
    const wanted = weight(
      (await (await smoothed(plain(optimalFloat64(set)), options)).denoise(
        Float64Array.from(query),
        sigma,
      )).mean,
    );
    const x = tensorSpace.from(query, [1, d]);
    const got = weight(
      await tensorSpace.values((await (await smoothed(base, options)).denoise(x, sigma)).mean),
    );
    assert.ok(wanted > .02 && wanted < .98);
    // A weight moves by at most a quarter of what the logits do.
    errors.push(4 * Math.abs(got - wanted));
  }
  return errors;
}

Deno.test("tilted posteriors weigh near ties at the end of a walk to a twentieth of a nat, and earlier as float32 does", async () => {
  for (const error of await oddsErrors(1 / 199)) assert.ok(error < .05, `${error}`);
  // Errors of 5e-5 of either logit are left alone.
  for (const sigma of [.04, .1, .2]) {
    for (const error of await oddsErrors(sigma)) assert.ok(error < 1e-4, `${sigma}: ${error}`);
  }
});

Deno.test("tilted posteriors have the same bits alone and in a batch, and whatever was kept before", async () => {
  using device = await openWasm("test");
  for (const bytes of [false, true]) {
    const set = items(700, 20, bytes);
    using base = await optimal(set, { device });
    const denoiser = await smoothed(base, { bandwidth: .3, draws: 3 });
    const all = queries(set, 37, .7);
    const x = tensorSpace.from(all, [37, 20]);
    const together = await tensorSpace.values((await denoiser.denoise(x, .7)).mean);
    // Other samples, the same ones again, single ones, and several queries of one sample.
    const samples = [36, 0, 11, 11, 3];
    const rows = Float32Array.from(samples.flatMap((s) => [...all.subarray(20 * s, 20 * s + 20)]));
    const some = await tensorSpace.values(
      (await denoiser.denoise(tensorSpace.from(rows, [5, 20]), .7, { samples })).mean,
    );
    samples.forEach((s, row) => {
      assert.deepEqual(
        some.subarray(20 * row, 20 * row + 20),
        together.subarray(20 * s, 20 * s + 20),
      );
    });
    const later = all.subarray(20 * 9, 20 * 10);
    const alone =
      (await denoiser.denoise(tensorSpace.from(later, [1, 20]), .7, { samples: [9] })).mean;
    assert.deepEqual(await tensorSpace.values(alone), together.subarray(180, 200));
  }
});

Deno.test("tilted posteriors of two denoisers in turn and at once do not take each other's products", async () => {
  using device = await openWasm("test");
  const set = items(300, 6, false);
  using base = await optimal(set, { device });
  const [a, b] = await Promise.all(
    [1, 2].map((seed) => smoothed(base, { bandwidth: .4, draws: 2, seed })),
  );
  const x = tensorSpace.from(queries(set, 40, .5), [40, 6]);
  const values = async (denoiser: typeof a) =>
    await tensorSpace.values((await denoiser.denoise(x, .5)).mean);
  const [first, second] = [await values(a), await values(b)];
  assert.notDeepEqual(first, second);
  const again = await Promise.all([values(a), values(b), values(a)]);
  assert.deepEqual(again, [first, second, first]);
});

for (const kind of ["wasm", "float64"] as const) {
  Deno.test(`tilted posteriors of a store that was filled anew forget the old rows [${kind}]`, async () => {
    using device = await openDevice(kind);
    for (const bytes of [false, true]) {
      const [old, set] = [
        items(300, 6, bytes),
        items(600, 6, bytes).subset(
          Array.from({ length: 300 }, (_, i) => 300 + i),
        ),
      ];
      const [refilled, fresh] = [await device.store(old), await device.store(set)];
      const x = tensorSpace.from(queries(set, 4, .5), [4, 6]);
      // The same vectors for all: what is kept of them is kept by their identity.
      const options = {
        tilts: { count: 2, of: (sample: number) => startNoise(8, sample, 2, 6) } as Tilts,
        strengths: [.4, .4, .4, .4],
      };
      const mean = async (store: typeof fresh) => {
        const y = await store.tilted!.mean(x, .5, options);
        const values = await tensorSpace.values(y);
        y.dispose();
        return values;
      };
      const before = await mean(refilled), wanted = await mean(fresh);
      assert.notDeepEqual(before, wanted);
      await refilled.refill!(storedData(set));
      assert.deepEqual(await mean(refilled), wanted);
      x.dispose();
      for (const store of [refilled, fresh]) store.dispose();
    }
  });
}

Deno.test("samples by tilted posteriors are those by perturbed queries", async () => {
  const set = items(200, 3, false);
  const run = { count: 40, grid: uniformTGrid(40), seed: 2, batchSize: 16 };
  for (const drawKind of ["fixed", "antithetic"] as const) {
    const options: SmoothedOptions = { bandwidth: .3, draws: 4, drawKind };
    const exact = optimalFloat64(set);
    const wanted =
      (await sample(await smoothed(plain(exact), options), { ...run, output: "tensor" })).x;
    const cheap = (await sample(await smoothed(exact, options), { ...run, output: "tensor" })).x;
    using device = await openWasm("test");
    using base = await optimal(set, { device });
    const { x } = await sample(await smoothed(base, options), { ...run, output: "tensor" });
    const single = await tensorSpace.values(x);
    // Rounding that meets a border between basins sends a sample elsewhere; there are few borders.
    const apart = (rows: ArrayLike<number>, tolerance: number) =>
      Array.from({ length: 40 }, (_, i) => i).filter((i) =>
        [0, 1, 2].some((c) => Math.abs(rows[3 * i + c] - wanted[3 * i + c]) > tolerance)
      ).length;
    assert.equal(apart(cheap, 1e-9), 0);
    assert.ok(apart(single, 1e-3) <= 1);
  }
});

Deno.test("tilted posteriors refuse what makes no sense, and an abort leaves no half-made products", async () => {
  using device = await openWasm("test");
  const set = items(300, 6, false);
  using base = await optimal(set, { device });
  const x = tensorSpace.from(queries(set, 3, 1), [3, 6]);
  const tilts: Tilts = { count: 2, of: (sample) => startNoise(1, sample, 2, 6) };
  const mean = (options: object) =>
    capabilitiesOf(base).tilted!.mean(x, 1, { tilts, strengths: [1, 1, 1], ...options });
  await assert.rejects(mean({ strengths: [1] }), TypeError);
  await assert.rejects(mean({ strengths: [1, NaN, 1] }), RangeError);
  await assert.rejects(mean({ samples: [1] }), TypeError);
  const values = Float64Array.from(queries(set, 3, 1));
  await assert.rejects(
    capabilitiesOf(optimalFloat64(set)).tilted!.mean(values, 1, { tilts, strengths: [1] }),
    TypeError,
  );
  assert.ok(
    capabilitiesOf(base).tilted!.capacity(2) > 1e5 &&
      capabilitiesOf(base).tilted!.capacity(4) < capabilitiesOf(base).tilted!.capacity(2),
  );
  await assert.rejects(mean({ signal: AbortSignal.abort() }), { name: "AbortError" });
  const wanted = await capabilitiesOf(optimalFloat64(set)).tilted!.mean(values, 1, {
    tilts,
    strengths: [1, 1, 1],
  });
  const got = await tensorSpace.values(await mean({}));
  assert.ok(largestDifference(got, wanted) < 1e-5);
});
