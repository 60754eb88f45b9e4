import {
  Dataset,
  dataSpectrum,
  localityMask,
  openDevice,
  optimal,
  pcaLocality,
  readMnist,
  shapes,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { publishedTheta } from "../../../src/denoisers/local/pca_locality.ts";
import { referenceMasked } from "@closedform/diffusion/compute";
import type { MaskRule, PcaLocalityOptions, Spectrum, ThetaName } from "@closedform/diffusion";
import * as tf from "@tensorflow/tfjs-core";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../../_helpers/data.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { maskedTolerance } from "../../_helpers/masked_tolerance.ts";
import { assertClose } from "../../_helpers/tolerance.ts";
import { subsetOf } from "../../../src/denoisers/_capabilities.ts";
import { optimalFloat64, pcaLocalityFloat64 } from "../../_helpers/float64.ts";

const devices = await testDevices();
/** Small images: shapes of 32 × 32 × 3, every fourth pixel. */
const set = smaller(shapes(150));
const d = set.dimension;

function smaller(images: Dataset): Dataset {
  const [height, width, channels] = images.shape, step = 4;
  const data = new Uint8Array(images.count * images.dimension / step ** 2);
  let at = 0;
  for (let i = 0; i < images.count; i++) {
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) {
        for (let c = 0; c < channels; c++) {
          data[at++] = images.data[i * images.dimension + (y * width + x) * channels + c];
        }
      }
    }
  }
  return new Dataset({ data, shape: [height / step, width / step, channels], name: images.name });
}

/** Noisy items of the set, as float32 numbers. */
function noisy(sigmas: number | readonly number[], count: number, first = 0): Float64Array {
  return Float64Array.from(startNoise(3, first, count, d), (e, i) => {
    const row = Math.floor(i / d);
    const sigma = typeof sigmas === "number" ? sigmas : sigmas[row];
    return Math.fround(set.data[(first + row) * d + i % d] / 127.5 - 1 + sigma * e);
  });
}

const tensor = (x: ArrayLike<number>) => tensorSpace.from(x, [x.length / d, ...set.shape]);

/** D by its definition, in float64, from the mask of the spectrum. */
async function bruteForce(x: Float64Array, sigma: number, rule: MaskRule): Promise<Float64Array> {
  const { bits, words } = await localityMask(await dataSpectrum(set), sigma, rule);
  const counts = (n: number, m: number) => (bits[m * words + (n >> 5)] >>> (n & 31)) & 1;
  const value = (i: number, n: number) => set.data[i * d + n] * (2 / 255) - 1;
  return Float64Array.from({ length: d }, (_, m) => {
    const logits = Array.from({ length: set.count }, (_, i) => {
      let sum = 0;
      for (let n = 0; n < d; n++) sum += counts(n, m) * (x[n] - value(i, n)) ** 2;
      return -sum / (2 * sigma * sigma);
    });
    const top = Math.max(...logits);
    const weights = logits.map((l) => Math.exp(l - top));
    const total = weights.reduce((a, b) => a + b);
    return weights.reduce((sum, w, i) => sum + w * value(i, m), 0) / total;
  });
}

Deno.test("pcaLocalityFloat64() with threshold 0 is the optimal denoiser", async () => {
  const denoiser = await pcaLocalityFloat64(set, { theta: 0 });
  for (const sigma of [20, 2, 0.3]) {
    const x = noisy(sigma, 3);
    assertClose(
      (await denoiser.denoise(x, sigma)).mean,
      (await optimalFloat64(set).denoise(x, sigma)).mean,
      1e-12,
      `sigma ${sigma}`,
    );
  }
});

testOnDevices(
  devices,
  "pcaLocality() with threshold 0 is the optimal denoiser",
  (device) =>
    withoutLeaks(async () => {
      using denoiser = await pcaLocality(set, { device, theta: 0 });
      using other = await optimal(set, { device });
      for (const sigma of [20, 2, 0.3]) {
        const x = noisy(sigma, 2), state = tensor(x);
        const [a, b] = [
          (await denoiser.denoise(state, sigma)).mean,
          (await other.denoise(state, sigma)).mean,
        ];
        assert.deepEqual(a.shape, state.shape);
        assertClose(
          await tensorSpace.values(a),
          await tensorSpace.values(b),
          1e-5,
          `sigma ${sigma}`,
        );
        tensorSpace.dispose(state, a, b);
      }
    }),
);

Deno.test("pcaLocalityFloat64() is its definition in both orientations", async () => {
  for (const orientation of ["input", "output"] as const) {
    const rule = { theta: 0.1, orientation };
    const denoiser = await pcaLocalityFloat64(set, rule);
    for (const sigma of [10, 1, 0.1]) {
      const x = noisy(sigma, 1);
      assertClose(
        (await denoiser.denoise(x, sigma)).mean,
        await bruteForce(x, sigma, rule),
        1e-12,
        `${orientation}, sigma ${sigma}`,
      );
    }
  }
});

Deno.test("pcaLocalityFloat64() has one result in both orientations if the filter's diagonal is constant", async () => {
  // A stationary spectrum on a ring: cosines and sines in pairs of equal variance.
  const basis = Array.from({ length: d }, (_, k) => {
    const wave = Float64Array.from({ length: d }, (_, n) => {
      const angle = 2 * Math.PI * Math.ceil(k / 2) * n / d;
      return k % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
    });
    const length = Math.hypot(...wave);
    return [...wave.map((v) => v / length)];
  });
  const spectrum: Spectrum = {
    mean: new Float64Array(d),
    variances: Float64Array.from({ length: d }, (_, k) => 5 / (1 + Math.ceil(k / 2)) ** 2),
    basis: Float64Array.from(basis.flat()),
    floor: 0,
  };
  const x = noisy(1, 2);
  const [a, b] = await Promise.all(
    (["input", "output"] as const).map(async (orientation) =>
      (await (await pcaLocalityFloat64(set, { theta: 0.1, spectrum, orientation })).denoise(x, 1))
        .mean
    ),
  );
  assertClose(a, b, 0, "orientations");
  const own = (await (await pcaLocalityFloat64(set, { theta: 0.1 })).denoise(x, 1)).mean;
  assert.ok(own.some((v, i) => Math.abs(v - a[i]) > 0.01), "the spectrum matters");
});

testOnDevices(
  devices,
  "pcaLocality() is the float64 form at noise levels of its own per row",
  (device) =>
    withoutLeaks(async () => {
      const options = { theta: 0.08 };
      using denoiser = await pcaLocality(set, { device, ...options });
      const exact = await pcaLocalityFloat64(set, options);
      assert.equal(denoiser.count, set.count);
      assert.deepEqual(denoiser.mean!(), set.mean());
      const sigmas = [30, 0.3, 3, 0.05, 0.3];
      const x = noisy(sigmas, 5), state = tensor(x);
      const result = (await denoiser.denoise(state, sigmas)).mean;
      const actual = await tensorSpace.values(result),
        expected = (await exact.denoise(x, sigmas)).mean;
      for (let q = 0; q < 5; q++) {
        const query = x.subarray(q * d, (q + 1) * d);
        const mask = await denoiser.mask(sigmas[q]);
        const tolerance = maskedTolerance(set, query, sigmas[q], mask);
        for (let m = 0; m < d; m++) {
          assertClose([actual[q * d + m]], [expected[q * d + m]], tolerance[m], `${q}, ${m}`);
        }
      }
      tensorSpace.dispose(state, result);
    }),
);

testOnDevices(
  devices,
  "pcaLocality() restricted to items is that of a smaller set with the same masks, also of a part of the pixels",
  (device) =>
    withoutLeaks(async () => {
      const rows = Uint32Array.from({ length: 40 }, (_, i) => 3 * i);
      const spectrum = await dataSpectrum(set), options = { theta: 0.1, spectrum };
      using whole = await pcaLocality(set, { device, ...options });
      using small = await pcaLocality(set.subset(rows), { device, ...options });
      const sigma = 2, x = noisy(sigma, 2), state = tensor(x);
      const all = { rows: Uint32Array.from({ length: set.count }, (_, i) => i) };
      const subsets = [{ rows }, { rows: rows.toReversed() }];
      const results = [
        await subsetOf(whole, "test").denoiseOn(state, sigma, subsets),
        (await small.denoise(state, sigma)).mean,
        await subsetOf(whole, "test").denoiseOn(state, sigma, [all, all]),
        (await whole.denoise(state, sigma)).mean,
      ];
      const [restricted, expected, everything, plain] = await Promise.all(
        results.map((y) => tensorSpace.values(y)),
      );
      assert.deepEqual(everything, plain);
      const mask = await whole.mask(sigma);
      const tolerance = Math.max(
        ...[0, 1].flatMap((
          q,
        ) => [...maskedTolerance(set, x.subarray(q * d, q * d + d), sigma, mask, { rows })]),
      );
      assertClose(restricted, expected, 2 * tolerance, "restricted");
      const region = { top: 3, left: 1, height: 2, width: 4 };
      const part = await subsetOf(whole, "test").denoiseOn(state, sigma, subsets, { region });
      assert.deepEqual(part.shape, [2, 2, 4, 3]);
      const crop = tf.slice(results[0], [0, 3, 1, 0], [2, 2, 4, 3]);
      assertClose(
        await tensorSpace.values(part),
        await tensorSpace.values(crop),
        2 * tolerance,
        "pixels",
      );
      await assert.rejects(
        subsetOf(whole, "test").denoiseOn(state, sigma, subsets, {
          region: { ...region, left: 7 },
        }),
        RangeError,
      );
      await assert.rejects(
        subsetOf(whole, "test").denoiseOn(state, sigma, subsets.slice(1)),
        TypeError,
      );
      tensorSpace.dispose(state, part, crop, ...results);
    }),
);

testOnDevices(
  devices,
  "pcaLocality() averaged over one batch is exact, over several the mean of their posterior means",
  async (device) => {
    const sigma = 0.5, x = noisy(sigma, 1), state = tensor(x);
    const spectrum = await dataSpectrum(set);
    const values = async (options: Omit<PcaLocalityOptions, "device">) => {
      using denoiser = await pcaLocality(set, { device, theta: 0.1, spectrum, ...options });
      const y = (await denoiser.denoise(state, sigma)).mean;
      try {
        return await tensorSpace.values(y);
      } finally {
        y.dispose();
      }
    };
    const exact = await values({});
    assertClose(await values({ average: { batch: 150 } }), exact, 1e-6, "one batch");
    const averaged = await values({ average: { batch: 64 } });
    const mask = await localityMask(spectrum, sigma, { theta: 0.1 });
    const means = new Float64Array(d);
    for (const [from, to] of [[0, 64], [64, 128], [128, 150]]) {
      const rows = Uint32Array.from({ length: to - from }, (_, i) => from + i);
      referenceMasked(set, x, sigma, mask, { subsets: [{ rows }] })
        .forEach((v, m) => means[m] += v / 3);
    }
    assertClose(averaged, means, 1e-6, "three batches");
    assert.ok(averaged.some((v, m) => Math.abs(v - exact[m]) > 0.01), "the average is another");
    tensorSpace.dispose(state);
  },
);

Deno.test("pcaLocalityFloat64() averaged is exact to float64, and exact does not depend on the order", async () => {
  const x = noisy(0.5, 1), spectrum = await dataSpectrum(set), options = { theta: 0.1, spectrum };
  const exact = (await (await pcaLocalityFloat64(set, options)).denoise(x, 0.5)).mean;
  const one = await pcaLocalityFloat64(set, { ...options, average: { batch: 1000 } });
  assertClose((await one.denoise(x, 0.5)).mean, exact, 1e-12, "one batch");
  const reversed = set.subset(Uint32Array.from({ length: 150 }, (_, i) => 149 - i));
  const other = await pcaLocalityFloat64(reversed, options);
  assertClose((await other.denoise(x, 0.5)).mean, exact, 1e-12, "order");
  const sharp = await pcaLocalityFloat64(set, { ...options, temperature: 4 });
  // A temperature is a larger noise level with the same mask.
  const mask = await localityMask(spectrum, 0.5, { theta: 0.1 });
  assertClose(
    (await sharp.denoise(x, 0.5)).mean,
    referenceMasked(set, x, 1, mask),
    1e-12,
    "temperature",
  );
});

testOnDevices(devices, "pcaLocality() of one class sees that class only", async (device) => {
  const labelled = new Dataset({
    data: set.data,
    shape: set.shape,
    name: "cifar10 of shapes",
    labels: Uint32Array.from({ length: set.count }, (_, i) => i % 2),
    classNames: ["even", "odd"],
  });
  using denoiser = await pcaLocality(labelled, { device, class: "odd" });
  const exact = await pcaLocalityFloat64(labelled.classSubset("odd"));
  assert.equal(denoiser.count, 75);
  assert.match(denoiser.label, /PCA locality of cifar10 of shapes.*odd.*theta 0\.02/);
  assert.ok(denoiser.references.length > 0);
  const x = noisy(3, 1), state = tensor(x), y = (await denoiser.denoise(state, 3)).mean;
  const mask = await denoiser.mask(3);
  const tolerance = maskedTolerance(labelled.classSubset("odd"), x, 3, mask);
  assertClose(
    await tensorSpace.values(y),
    (await exact.denoise(x, 3)).mean,
    Math.max(...tolerance),
    "class",
  );
  tensorSpace.dispose(state, y);
  await assert.rejects(pcaLocality(labelled, { device, class: "none" }), RangeError);
});

testOnDevices(
  devices,
  "pcaLocality() refuses what is out of range, and stops when told to",
  async (device) => {
    const spectrum = await dataSpectrum(set);
    await assert.rejects(pcaLocality(set, { device, theta: 2 }), RangeError);
    const other = { ...spectrum, mean: new Float64Array(3) };
    await assert.rejects(pcaLocality(set, { device, spectrum: other }), TypeError);
    using denoiser = await pcaLocality(set, { device, theta: 0.1, spectrum });
    const state = tensor(noisy(1, 2));
    await assert.rejects(denoiser.denoise(state, 0), RangeError);
    await assert.rejects(denoiser.denoise(state, [1, 1, 1]), TypeError);
    const odd = tensorSpace.from([1, 2, 3], [1, 3]);
    await assert.rejects(denoiser.denoise(odd, 1), TypeError);
    const reason = new RangeError("enough"), signal = AbortSignal.abort(reason);
    await assert.rejects(denoiser.denoise(state, 1, { signal }), (error) => error === reason);
    tensorSpace.dispose(state, odd);
    await assert.rejects(
      (await pcaLocalityFloat64(set, { theta: 0.1, spectrum })).denoise(new Float64Array(7), 1),
      TypeError,
    );
  },
);

Deno.test("pcaLocality() keeps large masks on disk, and does without a damaged one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const images = shapes(40), spectrum = { ...await spectrumOfBlocks(images.dimension) };
    const make = () => pcaLocalityFloat64(images, { theta: 0.1, spectrum, cache: folder });
    const x = Float64Array.from(startNoise(1, 0, 1, images.dimension));
    const rows = [{ rows: Uint32Array.of(0, 5, 9) }];
    const region = { top: 0, left: 0, height: 1, width: 2 };
    const first = await subsetOf(await make(), "test").denoiseOn(x, 1, rows, { region });
    const [file] = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
    assert.match(file, /\.mask$/);
    const before = await Deno.readFile(file);
    assertClose(
      await subsetOf(await make(), "test").denoiseOn(x, 1, rows, { region }),
      first,
      0,
      "again",
    );
    await Deno.writeFile(file, before.map((v, i) => i === 100 ? v ^ 1 : v));
    assertClose(
      await subsetOf(await make(), "test").denoiseOn(x, 1, rows, { region }),
      first,
      0,
      "damaged",
    );
    assert.deepEqual(await Deno.readFile(file), before);
    const other = await pcaLocalityFloat64(images, { theta: 0.2, spectrum, cache: folder });
    await subsetOf(other, "test").denoiseOn(x, 1, rows, { region });
    assert.equal([...Deno.readDirSync(folder)].length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A spectrum of three directions: the channels, each by itself. */
function spectrumOfBlocks(dimension: number): Spectrum {
  const basis = new Float64Array(3 * dimension);
  for (let n = 0; n < dimension; n++) basis[(n % 3) * dimension + n] = Math.sqrt(3 / dimension);
  return {
    mean: new Float64Array(dimension),
    variances: Float64Array.of(30, 20, 10),
    basis,
    floor: 0,
  };
}

const digits = "mnist/train-images-idx3-ubyte.gz";
Deno.test({
  name: "pcaLocality() of digits, whose borders are nearly dead, is its float64 form",
  ignore: !hasData(digits),
  fn: async () => {
    const mnist = (await readMnist(dataPath("mnist"))).take(150);
    using device = await openDevice("wasm");
    const spectrum = await dataSpectrum(mnist, { cache: false });
    for (const normalisation of ["global", "row", "symmetric"] as const) {
      const options = { theta: 0.05, normalisation, spectrum, cache: false } as const;
      using denoiser = await pcaLocality(mnist, { device, ...options });
      const exact = await pcaLocalityFloat64(mnist, options);
      for (const sigma of [normalisation === "row" ? 3 : 0.3]) {
        const e = startNoise(2, 0, 1, mnist.dimension);
        const x = Float64Array.from(
          e,
          (v, n) => Math.fround(mnist.data[n] / 127.5 - 1 + sigma * v),
        );
        const state = tensorSpace.from(x, [1, ...mnist.shape]);
        const y = (await denoiser.denoise(state, sigma)).mean;
        const tolerance = maskedTolerance(mnist, x, sigma, await denoiser.mask(sigma));
        const [a, b] = [await tensorSpace.values(y), (await exact.denoise(x, sigma)).mean];
        a.forEach((v, m) =>
          assertClose([v], [b[m]], tolerance[m], `${normalisation}, ${sigma}, ${m}`)
        );
        // The corner is black in all digits.
        assert.equal(a[0], -1);
        tensorSpace.dispose(state, y);
      }
    }
  },
});

Deno.test("publishedTheta() is the published table, by exact names", () => {
  const data = ["mnist", "fashion", "cifar10", "celeba", "afhq", "imagenet"] as const;
  const golden = data.map((name) => publishedTheta(`${name}-golden`));
  assert.deepEqual(golden, [.02, .02, .03, .03, .04, .02]);
  const pca = data.map((name) => publishedTheta(`${name}-pca`));
  assert.deepEqual(pca, [.005, .005, .05, .02, .02, .02]);
  assert.throws(() => publishedTheta("CIFAR-10" as ThetaName), /wanted one of mnist-golden, /);
});
