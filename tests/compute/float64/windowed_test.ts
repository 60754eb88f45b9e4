import type { PointSet, Subset, Translations } from "@closedform/diffusion";
import { RandomStream } from "@closedform/diffusion";
import { referencePosterior, referenceWindowed } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import fc from "fast-check";
import { referenceWindowedInTurns } from "../../../src/compute/float64/windowed.ts";
import { assertClose } from "../../_helpers/tolerance.ts";
import { bruteWindows } from "../../_helpers/windows.ts";

// Logits are sums of at most a hundred squares below 20, over 2 * 0.3^2: 5e-16 of 1e4.
const FLOAT64 = 1e-12;
const TRANSLATIONS: Translations[] = ["none", "circular", "interior", "border"];

function images(count: number, shape: readonly number[], bytes: boolean): PointSet {
  const dimension = shape.reduce((a, b) => a * b);
  const random = new RandomStream({ seed: count * 1000 + dimension, purpose: "data" });
  const values = Float32Array.from({ length: count * dimension }, () => random.normal());
  return { data: bytes ? Uint8Array.from(values, (v) => 128 + 50 * v) : values, dimension };
}

function noisy(dimension: number, seed: number): Float64Array {
  const random = new RandomStream({ seed });
  return Float64Array.from({ length: dimension }, () => random.normal());
}

for (const translations of TRANSLATIONS) {
  Deno.test(`referenceWindowed() is what its definition says: ${translations}`, () => {
    const shapes: [number, number, number][] = [[6, 6, 1], [6, 6, 3], [7, 5, 2], [5, 8, 1], [
      1,
      6,
      1,
    ]];
    for (const shape of shapes) {
      for (const bytes of [true, false]) {
        const points = images(4, shape, bytes);
        const query = noisy(points.dimension, 1);
        const side = Math.min(shape[0], shape[1]);
        for (const patch of [1, 3, 5, 7, 13, Infinity]) {
          if (translations === "interior" && patch > side) continue;
          for (const sigma of [3, 0.3]) {
            const { mean, logNormaliser } = referenceWindowed(points, query, sigma, {
              shape,
              patch,
              translations,
            });
            const expected = bruteWindows(points, query, sigma, { shape, patch, translations });
            const what = `${shape}, patch ${patch}, sigma ${sigma}`;
            assertClose(mean, expected.mean, FLOAT64, `mean, ${what}`);
            assertClose(logNormaliser, expected.logNormaliser, 1e3 * FLOAT64, what);
          }
        }
      }
    }
  });
}

Deno.test("referenceWindowed() with windows that cover the image is the optimal denoiser", () => {
  const shape = [6, 5, 2];
  const points = images(30, shape, true);
  const queries = noisy(2 * points.dimension, 2);
  for (const sigma of [5, 1, 0.3]) {
    const exact = referencePosterior(points, queries, sigma);
    for (const patch of [11, Infinity]) {
      const { mean, logNormaliser } = referenceWindowed(points, queries, sigma, { shape, patch });
      assertClose(mean, exact.mean, FLOAT64, "mean");
      logNormaliser.forEach((v, i) =>
        assertClose([v], [exact.facts.logNormaliser[Math.floor(i / 30)]], 1e3 * FLOAT64, "evidence")
      );
    }
  }
});

Deno.test("referenceWindowed() by patches as large as a torus is the optimal denoiser of all translates", () => {
  const shape = [7, 7, 1];
  const points = images(3, shape, false);
  const translates = new Float32Array(3 * 49 * 49);
  for (let i = 0, to = 0; i < 3; i++) {
    for (let u = 0; u < 49; u++) {
      for (let p = 0; p < 49; p++, to++) {
        const [y, x] = [(Math.floor(p / 7) + Math.floor(u / 7)) % 7, (p % 7 + u % 7) % 7];
        translates[to] = points.data[i * 49 + y * 7 + x];
      }
    }
  }
  const query = noisy(49, 3);
  for (const sigma of [4, 1, 0.3]) {
    const exact = referencePosterior({ data: translates, dimension: 49 }, query, sigma).mean;
    for (const patch of [7, 9, Infinity]) {
      const { mean } = referenceWindowed(points, query, sigma, {
        shape,
        patch,
        translations: "circular",
      });
      assertClose(mean, exact, FLOAT64, `patch ${patch}, sigma ${sigma}`);
    }
  }
});

Deno.test("referenceWindowed() with all translations commutes with translations", () => {
  const [height, width] = [6, 7], shape = [height, width, 1];
  const points = images(5, shape, true);
  const query = noisy(height * width, 4);
  const roll = (values: ArrayLike<number>, dy: number, dx: number) =>
    Float64Array.from({ length: height * width }, (_, p) => {
      const [y, x] = [Math.floor(p / width), p % width];
      return values[(y + dy) % height * width + (x + dx) % width];
    });
  for (const translations of ["circular", "interior"] as const) {
    for (const patch of [1, 3, 5]) {
      const options = { shape, patch, translations };
      const plain = referenceWindowed(points, query, 0.5, options).mean;
      for (const [dy, dx] of [[1, 0], [0, 3], [5, 6]]) {
        const { mean } = referenceWindowed(points, roll(query, dy, dx), 0.5, options);
        assertClose(mean, roll(plain, dy, dx), FLOAT64, `${translations} ${patch} ${dy} ${dx}`);
      }
    }
  }
});

Deno.test("referenceWindowed() restricted to rows is that of these rows, their weights added to logits", () => {
  const shape: [number, number, number] = [5, 4, 2];
  const points = images(12, shape, true);
  const query = noisy(40, 5);
  const weighted: Subset = {
    rows: Uint32Array.of(7, 2, 11),
    logWeights: Float64Array.of(0.5, -1, 3),
  };
  for (const translations of TRANSLATIONS) {
    for (const subset of [{ rows: Uint32Array.of(3) }, { rows: Uint32Array.of(8, 1) }, weighted]) {
      const expected = bruteWindows(points, query, 1, { shape, patch: 3, translations, subset });
      const options = { shape, patch: 3, translations, subsets: [subset] };
      const { mean, logNormaliser } = referenceWindowed(points, query, 1, options);
      assertClose(mean, expected.mean, FLOAT64, "mean");
      assertClose(logNormaliser, expected.logNormaliser, 1e3 * FLOAT64, "log normaliser");
    }
    const all = Uint32Array.from({ length: 12 }, (_, i) => i);
    const whole = referenceWindowed(points, query, 1, { shape, patch: 3, translations });
    const same = referenceWindowed(points, query, 1, {
      shape,
      patch: 3,
      translations,
      subsets: [{ rows: all }],
    });
    assert.deepEqual(same.mean, whole.mean);
  }
});

Deno.test("referenceWindowed() of a region is that part of the whole", () => {
  fc.assert(
    fc.property(
      fc.record({
        height: fc.integer({ min: 1, max: 8 }),
        width: fc.integer({ min: 1, max: 8 }),
        radius: fc.integer({ min: 0, max: 4 }),
        translations: fc.constantFrom(...TRANSLATIONS),
        corners: fc.array(fc.nat(7), { minLength: 4, maxLength: 4 }),
      }),
      ({ height, width, radius, translations, corners: [a, b, c, d] }) => {
        const shape = [height, width, 1], patch = 2 * radius + 1;
        fc.pre(translations !== "interior" || patch <= Math.min(height, width));
        const top = a % height, left = b % width;
        const region = {
          top,
          left,
          height: 1 + c % (height - top),
          width: 1 + d % (width - left),
        };
        const points = images(3, shape, true);
        const query = noisy(height * width, 6);
        const whole = referenceWindowed(points, query, 1, { shape, patch, translations }).mean;
        const { mean } = referenceWindowed(points, query, 1, {
          shape,
          patch,
          translations,
          region,
        });
        const expected = Float64Array.from({ length: region.height * region.width }, (_, k) => {
          const [y, x] = [Math.floor(k / region.width), k % region.width];
          return whole[(top + y) * width + left + x];
        });
        assertClose(mean, expected, FLOAT64, JSON.stringify(region));
      },
    ),
    { seed: 1, numRuns: 200 },
  );
});

Deno.test("referenceWindowed() takes a patch and a sigma per query, whatever the batch", () => {
  const shape = [6, 6, 1], points = images(6, shape, true);
  const queries = noisy(3 * 36, 7);
  const sigmas = [0.3, 2, 9], patches = [1, 5, Infinity];
  const together = referenceWindowed(points, queries, sigmas, { shape, patch: patches }).mean;
  for (let q = 0; q < 3; q++) {
    const query = queries.subarray(q * 36, (q + 1) * 36);
    const alone = referenceWindowed(points, query, sigmas[q], { shape, patch: patches[q] }).mean;
    assert.deepEqual(alone, together.slice(q * 36, (q + 1) * 36));
  }
});

Deno.test("referenceWindowed() refuses what it cannot answer", () => {
  const shape = [2, 2, 1], points = images(3, shape, true);
  const ask = (options: object, sigma = 1, query: number[] = [0, 0, 0, 0]) =>
    referenceWindowed(points, query, sigma, { shape, patch: 1, ...options });
  ask({});
  assert.throws(() => ask({ patch: 2 }), RangeError);
  assert.throws(() => ask({ patch: 0 }), RangeError);
  assert.throws(() => ask({ patch: -1 }), RangeError);
  assert.throws(() => ask({ patch: NaN }), RangeError);
  assert.throws(() => ask({ patch: 1.5 }), RangeError);
  assert.throws(() => ask({ patch: [1, 1] }), TypeError);
  assert.throws(() => ask({ patch: 3, translations: "interior" }), RangeError);
  assert.throws(() => ask({ shape: [4, 1] }), TypeError);
  assert.throws(() => ask({ shape: [2, 2, 2] }), TypeError);
  assert.throws(() => ask({}, 0), RangeError);
  assert.throws(() => ask({}, 1, [0, 0, 0]), TypeError);
  assert.throws(() => ask({}, 1, []), RangeError);
  assert.throws(() => ask({}, 1, [0, NaN, 0, 0]), RangeError);
  assert.throws(() => ask({ subsets: [] }), TypeError);
  assert.throws(() => ask({ subsets: [{ rows: new Uint32Array() }] }), RangeError);
  assert.throws(() => ask({ subsets: [{ rows: Uint32Array.of(3) }] }), RangeError);
  for (
    const region of [
      { top: 0, left: 0, height: 3, width: 1 },
      { top: 1, left: 0, height: 0, width: 1 },
      { top: 0, left: 1, height: 1, width: 2 },
      { top: -1, left: 0, height: 1, width: 1 },
      { top: 0.5, left: 0, height: 1, width: 1 },
    ]
  ) assert.throws(() => ask({ region }), RangeError);
});

Deno.test("referenceWindowedInTurns() stops on an abort, reports progress, and gives the same", async () => {
  const shape = [12, 12, 1], points = images(240, shape, true);
  const query = noisy(144, 8);
  const options = { shape, patch: 5, translations: "circular" } as const;
  const reason = new RangeError("enough");
  const abort = new AbortController();
  const work = referenceWindowedInTurns(points, query, 1, {
    ...options,
    signal: abort.signal,
    onProgress: () => abort.abort(reason),
  });
  await assert.rejects(work, (error) => error === reason);
  const told: number[] = [];
  const { mean } = await referenceWindowedInTurns(points, query, 1, {
    ...options,
    onProgress: (done, all) => told.push(done / all),
  });
  assert.deepEqual(mean, referenceWindowed(points, query, 1, options).mean);
  assert.ok(told.length > 0 && told.every((v, i) => v > (told[i - 1] ?? 0) && v < 1));
});
