import type {
  AnyTensor,
  Denoised,
  Denoiser,
  Device,
  EvaluateOptions,
  GoldenSubsetOptions,
  PosteriorFacts,
  Sigma,
} from "@closedform/diffusion";
import {
  Dataset,
  ddpmGrid,
  goldenSubset,
  moons,
  openDevice,
  optimal,
  sample,
  shapes,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { dataOf, keepCapabilities, subsetOf } from "../../../src/denoisers/_capabilities.ts";
import { testDevices, testOnDevices } from "../../_helpers/devices.ts";
import { withoutLeaks } from "../../_helpers/leaks.ts";
import { assertClose, EPS32, posteriorTolerance } from "../../_helpers/tolerance.ts";

const devices = await testDevices();
/** Small smooth images. */
const small = new Dataset({
  data: Uint8Array.from(
    startNoise(8, 0, 200, 64),
    (e, at) =>
      128 + 90 * Math.sin(Math.floor(at / 64) + at % 64 / (3 + Math.floor(at / 640))) + 9 * e,
  ),
  shape: [8, 8, 1],
  name: "waves",
});
type Evaluated = { values: Float32Array; facts: PosteriorFacts };
type KnowsFacts = {
  denoise(
    x: AnyTensor,
    sigma: Sigma,
    options?: EvaluateOptions,
  ): Promise<Denoised<AnyTensor, PosteriorFacts>>;
};

/** Noisy copies of items. */
function noisy(set: Dataset, sigma: number, batch: number, seed = 5): Float32Array {
  const noise = startNoise(seed, 0, batch, set.dimension);
  const items = Array.from({ length: batch }, (_, q) => set.values(37 * (q + 1) % set.count));
  return Float32Array.from(
    noise,
    (e, at) => items[Math.floor(at / set.dimension)][at % set.dimension] + sigma * e,
  );
}

async function evaluate(
  denoiser: KnowsFacts,
  queries: Float32Array,
  shape: readonly number[],
  sigma: Sigma,
  options?: EvaluateOptions,
): Promise<Evaluated> {
  const batch = queries.length / shape.reduce((a, b) => a * b, 1);
  const x = tensorSpace.from(queries, [batch, ...shape]);
  const { mean, ...facts } = await denoiser.denoise(x, sigma, options);
  const values = await tensorSpace.values(mean) as Float32Array;
  assert.deepEqual(mean.shape, [batch, ...shape]);
  tensorSpace.dispose(x, mean);
  return { values, facts };
}

/** Root mean squared difference of each row. */
function errors(a: Float32Array, b: Float32Array, batch: number): number[] {
  const d = a.length / batch;
  return Array.from({ length: batch }, (_, q) => {
    let square = 0;
    for (let c = q * d; c < (q + 1) * d; c++) square += (a[c] - b[c]) ** 2;
    return Math.sqrt(square / d);
  });
}

testOnDevices(
  devices,
  "goldenSubset() of all items is the whole denoiser, of one at low noise the nearest image",
  (device) =>
    withoutLeaks(async () => {
      const set = shapes(120);
      using base = await optimal(set, { device });
      using whole = await goldenSubset(base, { k: 120, m: 120, tail: false });
      using sampled = await goldenSubset(base, { k: 120, m: 120, tail: true });
      using single = await goldenSubset(base, { k: 1, m: 30, tail: false });
      for (const sigma of [30, 3, 0.3]) {
        const queries = noisy(set, sigma, 3);
        const { values, facts } = await evaluate(base, queries, set.shape, sigma);
        for (const golden of [whole, sampled]) {
          const found = await evaluate(golden, queries, set.shape, sigma);
          for (let q = 0; q < 3; q++) {
            const [from, to] = [q * set.dimension, (q + 1) * set.dimension];
            const tolerance = posteriorTolerance(set, queries.slice(from, to), sigma);
            assertClose(
              found.values.slice(from, to),
              values.slice(from, to),
              2 * tolerance.mean,
              "mean",
            );
            assertClose(
              [found.facts.logNormaliser[q]],
              [facts.logNormaliser[q]],
              2 * tolerance.logit,
              "evidence",
            );
          }
          assert.deepEqual([...found.facts.subsetSize!], [120, 120, 120]);
          // Nothing but rounding: below a hundredth of the range of the data, and above what a float32 is off by.
          for (const bound of found.facts.errorBound!) {
            assert.ok(bound > EPS32 / 2 && bound < 2e-2, `${bound}`);
          }
        }
      }
      const queries = noisy(set, 0.01, 3);
      const { values, facts } = await evaluate(single, queries, set.shape, 0.01);
      for (let q = 0; q < 3; q++) {
        const row = 37 * (q + 1) % set.count;
        assert.equal(facts.topIndex[q], row);
        // One weight of 1: the item itself, to the rounding of its float32 value.
        assertClose(
          values.slice(q * set.dimension, (q + 1) * set.dimension),
          set.values(row),
          2 ** -23,
          "image",
        );
      }
    }),
);

testOnDevices(
  devices,
  "goldenSubset() bounds its error by what the proxy proves, at every noise level",
  (device) =>
    withoutLeaks(async () => {
      const set = shapes(400);
      using base = await optimal(set, { device });
      using golden = await goldenSubset(base, {
        k: [10, 20],
        m: [40, 100],
        tail: false,
      });
      let useful = 0;
      for (const sigma of [20, 2, 0.7, 0.3, 0.1, 0.02]) {
        const queries = noisy(set, sigma, 4);
        const exact = await evaluate(base, queries, set.shape, sigma);
        const { values, facts } = await evaluate(golden, queries, set.shape, sigma);
        errors(values, exact.values, 4).forEach((error, q) => {
          const query = queries.slice(q * set.dimension, (q + 1) * set.dimension);
          const rounding = 2 * posteriorTolerance(set, query, sigma).mean;
          assert.ok(
            error <= facts.errorBound![q] + rounding,
            `error ${error}, bound ${facts.errorBound![q]}`,
          );
          // What is captured, at least: the evidence of the subset against that of all.
          const captured = Math.exp(facts.logNormaliser[q] - exact.facts.logNormaliser[q]);
          const slack = 4 * posteriorTolerance(set, query, sigma).logit;
          assert.ok(
            facts.capturedMass![q] <= captured * (1 + slack) + 1e-12,
            `captured ${captured}`,
          );
          assert.equal(facts.certified![q], 0);
          // A GPU's sums of 20 rows are off by up to 50 roundings of numbers that are up to 2 from its origin.
          if (facts.errorBound![q] < 256 * EPS32) useful++;
        });
      }
      assert.ok(useful >= 8, `${useful} useful bounds`);
    }),
);

testOnDevices(
  devices,
  "goldenSubset() with a tolerance is never further from the whole denoiser than allowed",
  (device) =>
    withoutLeaks(async () => {
      const { sigmas } = ddpmGrid(10);
      const cases = [
        [moons(400), { tolerance: 1e-3 }],
        [shapes(300), { tolerance: 1e-3 }],
        [shapes(300), { tolerance: 1e-2, retained: 200 }],
      ] as const;
      for (const [set, options] of cases) {
        const d = set.dimension;
        using base = await optimal(set, { device });
        using golden = await goldenSubset(base, options);
        let queries = Float32Array.from(startNoise(2, 0, 3, d), (e) => 61 * e);
        const sizes: number[] = [];
        for (let step = 0; step < 10; step++) {
          const [sigma, next] = [sigmas[step], sigmas[step + 1]];
          const exact = await evaluate(base, queries, set.shape, sigma);
          const { values, facts } = await evaluate(golden, queries, set.shape, sigma);
          errors(values, exact.values, 3).forEach((error, q) => {
            const query = queries.slice(q * d, (q + 1) * d);
            const rounding = 2 * posteriorTolerance(set, query, sigma).mean;
            assert.ok(
              error <= facts.errorBound![q] + rounding,
              `step ${step}: ${error}, bound ${facts.errorBound![q]}`,
            );
            assert.equal(facts.certified![q], 1);
            assert.ok(facts.capturedMass![q] > 0.9 && facts.subsetGap![q] > 0);
          });
          assert.ok(facts.errorBound!.every((bound) => bound <= options.tolerance));
          sizes.push(...facts.subsetSize!);
          const rho = next / sigma;
          queries = queries.map((x, at) => rho * x + (1 - rho) * values[at]);
        }
        assert.ok(sizes[0] === set.count && sizes.at(-1)! < 4, `${sizes}`);
      }
    }),
);

testOnDevices(
  devices,
  "goldenSubset() gives a sample the same bits in every batch",
  async (device) => {
    const set = small;
    using base = await optimal(set, { device });
    const variants: GoldenSubsetOptions[] = [
      {},
      { tail: true, k: 40, seed: 3 },
      { schedule: "random-pool", seed: 3 },
      { schedule: "random" },
      { tolerance: 1e-2 },
      { tolerance: 1e-4, retained: 30 },
    ];
    // Each wait for a software GPU takes its time.
    const some = device.kind === "webgpu" ? [variants[1], variants[5]] : variants;
    for (const options of some) {
      const run = async (batchSize: number) => {
        using golden = await goldenSubset(base, options);
        const { x, denoised, steps } = await sample(golden, {
          count: 3,
          grid: ddpmGrid(4),
          seed: 1,
          batchSize,
          output: "tensor",
        });
        const values = await golden.space.values(x);
        golden.space.dispose(x, denoised);
        return { values, steps };
      };
      const one = await run(3);
      for (const size of [1]) {
        const other = await run(size);
        const what = `${JSON.stringify(options)} in batches of ${size}`;
        assertClose(other.values, one.values, 0, what);
        other.steps.forEach(({ facts }, i) =>
          assertClose(facts!.subsetSize!, one.steps[i].facts!.subsetSize!, 0, `sizes, ${what}`)
        );
      }
    }
  },
);

Deno.test("goldenSubset() draws by seed, sample and noise level", async () => {
  using device = await openDevice("wasm");
  const set = shapes(300);
  using base = await optimal(set, { device });
  const queries = noisy(set, 20, 1);
  for (const options of [{ schedule: "random-pool" }, { tail: true }] as const) {
    const draw = async (seed: number, sample: number, sigma = 20) => {
      using golden = await goldenSubset(base, { ...options, k: 20, seed });
      const { facts } = await evaluate(golden, queries, set.shape, sigma, { samples: [sample] });
      return facts.logNormaliser[0];
    };
    assert.equal(await draw(1, 2), await draw(1, 2));
    assert.notEqual(await draw(1, 2), await draw(1, 3));
    assert.notEqual(await draw(1, 2), await draw(2, 2));
    assert.notEqual(await draw(1, 2, 20.001) - await draw(1, 2), 0);
  }
});

/** A base with weights per pixel, as far as a golden subset can tell. */
function localBase(base: Denoiser<AnyTensor>): Denoiser<AnyTensor> {
  const denoiser: Denoiser<AnyTensor> = {
    ...base,
    label: "local denoiser",
    denoise: async (...args) => ({ mean: (await base.denoise(...args)).mean }),
  };
  const { store: _, ...subset } = subsetOf(base, "test");
  keepCapabilities(denoiser, { subset, data: dataOf(base, "test") });
  return denoiser;
}

testOnDevices(
  devices,
  "goldenSubset() of a local base claims no bound, and refuses a tolerance",
  (device) =>
    withoutLeaks(async () => {
      const set = shapes(100);
      using base = await optimal(set, { device });
      using golden = await goldenSubset(localBase(base), { k: 10, tail: false });
      using same = await goldenSubset(base, { k: 10, tail: false });
      const queries = noisy(set, 0.05, 2);
      const { values, facts } = await evaluate(golden, queries, set.shape, 0.05);
      assertClose(values, (await evaluate(same, queries, set.shape, 0.05)).values, 0, "mean");
      assert.deepEqual([...facts.errorBound!], [Infinity, Infinity]);
      assert.deepEqual([...facts.certified!], [0, 0]);
      await assert.rejects(
        goldenSubset(localBase(base), { tolerance: 1e-3 }),
        { name: "RangeError", message: /differ from pixel to pixel/ },
      );
    }),
);

testOnDevices(
  devices,
  "goldenSubset() of one class is that of a set of this class, with rows of the whole",
  (device) =>
    withoutLeaks(async () => {
      const set = moons(300);
      const part = set.classSubset(1);
      using partBase = await optimal(part, { device });
      for (const options of [{ k: 20, m: 40, tail: false }, { tolerance: 1e-3 }]) {
        using golden = await goldenSubset(set, { ...options, class: 1, device });
        using expected = await goldenSubset(partBase, options);
        assert.deepEqual(golden.mean!(), part.mean());
        for (const sigma of [5, 0.1]) {
          const queries = noisy(part, sigma, 3);
          const a = await evaluate(golden, queries, set.shape, sigma);
          const b = await evaluate(expected, queries, set.shape, sigma);
          for (let q = 0; q < 3; q++) {
            const { mean } = posteriorTolerance(part, queries.slice(2 * q, 2 * q + 2), sigma);
            assertClose(
              a.values.slice(2 * q, 2 * q + 2),
              b.values.slice(2 * q, 2 * q + 2),
              2 * mean,
              "mean",
            );
            assert.equal(set.labels![a.facts.topIndex[q]], 1);
            assert.equal(a.facts.topIndex[q], b.facts.topIndex[q]);
          }
          assertClose(a.facts.subsetSize!, b.facts.subsetSize!, 0, "sizes");
        }
      }
    }),
);

testOnDevices(
  devices,
  "goldenSubset() mixes certified rows and whole ones in a batch, at a noise level each",
  (device) =>
    withoutLeaks(async () => {
      const set = shapes(300);
      using base = await optimal(set, { device });
      using golden = await goldenSubset(base, { tolerance: 1e-3, retained: 100 });
      const sigmas = [50, 0.1, 20, 0.5];
      const queries = Float32Array.from(
        sigmas.flatMap((
          sigma,
          q,
        ) => [...noisy(set, sigma, 4).subarray(q * set.dimension, (q + 1) * set.dimension)]),
      );
      const { values, facts } = await evaluate(golden, queries, set.shape, sigmas);
      const exact = await evaluate(base, queries, set.shape, sigmas);
      assert.deepEqual(sigmas.map((_, q) => facts.subsetSize![q] === 300), [
        true,
        false,
        true,
        false,
      ]);
      errors(values, exact.values, 4).forEach((error, q) =>
        assert.ok(error <= 1e-3, `row ${q}: ${error}`)
      );
      assert.deepEqual([...facts.topIndex], [...exact.facts.topIndex]);
    }),
);

testOnDevices(
  devices,
  "goldenSubset() refuses what makes no sense, hears a signal, and releases what it holds",
  (device: Device) =>
    withoutLeaks(async () => {
      const set = shapes(60);
      using base = await optimal(set, { device });
      const refused = (options: GoldenSubsetOptions) =>
        assert.rejects(goldenSubset(base, options), RangeError);
      await refused({ tolerance: 0 });
      await refused({ tolerance: NaN });
      await refused({ tolerance: 1e-3, k: 5 });
      await refused({ tolerance: 1e-3, tail: true });
      await refused({ tolerance: 1e-3, schedule: "described" });
      // Below the rounding of the result itself.
      await refused({ tolerance: EPS32 / 2 });
      await refused({ tolerance: 1e-3, retained: 0 });
      await refused({ k: 61 });
      await assert.rejects(goldenSubset(set, { class: "none", device }), RangeError);
      await assert.rejects(goldenSubset(base, { class: 0 }), TypeError);
      await assert.rejects(goldenSubset(base, { device: "wasm" }), TypeError);
      using golden = await goldenSubset(base);
      const x = tensorSpace.from(set.values(0), [1, ...set.shape]);
      const signal = AbortSignal.abort(new DOMException("stop", "AbortError"));
      await assert.rejects(golden.denoise(x, 1, { signal }), { name: "AbortError" });
      await assert.rejects(golden.denoise(x, -1), RangeError);
      await assert.rejects(golden.denoise(x, 1, { samples: [1, 2] }), TypeError);
      const wrong = tensorSpace.from([1, 2], [1, 2]);
      await assert.rejects(golden.denoise(wrong, 1), TypeError);
      tensorSpace.dispose(x, wrong);
    }),
);

testOnDevices(
  devices,
  "goldenSubset() stops in the middle and goes on with the next call",
  (device) =>
    withoutLeaks(async () => {
      using base = await optimal(small, { device });
      const variants = [{ tail: false }, { k: 40 }, { tolerance: 1e-3 }, {
        schedule: "random-pool",
      }] as const;
      for (const options of variants) {
        using golden = await goldenSubset(base, options);
        const x = tensorSpace.from(noisy(small, 2, 4), [4, ...small.shape]);
        const expected = (await golden.denoise(x, 2)).mean;
        for (const wait of [0, 1, 3]) {
          const controller = new AbortController();
          const running = golden.denoise(x, 2, { signal: controller.signal });
          for (let i = 0; i < wait; i++) await Promise.resolve();
          controller.abort(new DOMException("stop", "AbortError"));
          await assert.rejects(running, { name: "AbortError" });
        }
        const again = (await golden.denoise(x, 2)).mean;
        // A subset that was carried over has the same items, but a GPU measures them in float32.
        assertClose(
          await tensorSpace.values(again),
          await tensorSpace.values(expected),
          device.kind === "webgpu" ? 64 * EPS32 : 0,
          JSON.stringify(options),
        );
        tensorSpace.dispose(x, expected, again);
      }
    }),
);
