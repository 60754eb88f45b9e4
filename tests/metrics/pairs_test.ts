import { mse, pearson, rSquared } from "@closedform/diffusion";
import assert from "node:assert/strict";
import fc from "fast-check";

const SEED = { seed: 20, numRuns: 200 };
const EPSILON = 2 ** -52;

const pairs = fc.integer({ min: 2, max: 9 }).chain((dimension) =>
  fc.integer({ min: 1, max: 5 }).chain((rows) => {
    const numbers = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), {
      minLength: rows * dimension,
      maxLength: rows * dimension,
    }).map((v) => Float64Array.from(v));
    return fc.record({
      a: numbers,
      b: numbers,
      dimension: fc.constant(dimension),
    });
  })
);

Deno.test("mse and rSquared of equal samples are exactly 0 and 1", () => {
  const a = Float32Array.of(0.1, -0.7, 0.3, 1, 1, 1);
  assert.deepEqual([...mse(a, a, { dimension: 3 }).perSample], [0, 0]);
  assert.deepEqual([...rSquared(a, a, { dimension: 3 }).perSample], [1, 1]);
});

Deno.test("mse averages squared differences within a sample, then over samples", () => {
  const { perSample, mean } = mse(
    Float64Array.of(1, 2, 0, 0),
    Float64Array.of(0, 0, 3, 0),
    { dimension: 2 },
  );
  assert.deepEqual([...perSample], [2.5, 4.5]);
  assert.equal(mean, 3.5);
});

Deno.test("rSquared takes the variance of each reference with divisor d - 1", () => {
  // var(0, 0, 3) = 3 and var(2, 4, 6) = 4; the errors are 9 and 12.
  const { perSample, mean } = rSquared(
    Float64Array.of(0, 0, 0, 4, 6, 8),
    Float64Array.of(0, 0, 3, 2, 4, 6),
    { dimension: 3 },
  );
  assert.deepEqual([...perSample], [1 - 9 / (3 * 3), 1 - 12 / (3 * 4)]);
  assert.equal(mean, 0);
});

Deno.test("rSquared replaces the variance of a constant reference by 1", () => {
  // 0.1 is no binary fraction: a variance from a rounded mean would be tiny but not 0.
  const constant = new Float64Array(7).fill(0.1);
  const predicted = new Float64Array(7).fill(1.1);
  const expected = 1 - mse(predicted, constant, { dimension: 7 }).mean;
  assert.equal(rSquared(predicted, constant, { dimension: 7 }).mean, expected);
});

Deno.test("toUnit maps [-1, 1] to [0, 1] and clamps", () => {
  const a = Float32Array.of(-3, 0), b = Float32Array.of(-1, 1);
  assert.equal(mse(a, b, { dimension: 2, toUnit: true }).mean, 0.125);
  assert.equal(mse(a, b, { dimension: 2 }).mean, 2.5);
  // In [0, 1] the reference is (0, 1), its variance 1/2, and the squared error 1/4.
  assert.equal(rSquared(a, b, { dimension: 2, toUnit: true }).mean, 0.75);
});

Deno.test("mse in [0, 1] is a quarter of mse in [-1, 1], and rSquared the same, where nothing is clamped", () => {
  fc.assert(
    fc.property(pairs, ({ a, b, dimension }) => {
      const [raw, unit] = [false, true].map((toUnit) => mse(a, b, { dimension, toUnit }).mean);
      // Mapping rounds each number once, by at most epsilon/2; a difference of at most 1 is squared.
      assert.ok(Math.abs(raw / 4 - unit) <= 4 * EPSILON, `${raw} ${unit}`);
    }),
    SEED,
  );
});

Deno.test("mse and rSquared equal their formulas", () => {
  fc.assert(
    fc.property(pairs, ({ a, b, dimension }) => {
      for (let i = 0; i < a.length / dimension; i++) {
        const p = [...a.slice(i * dimension, (i + 1) * dimension)];
        const q = [...b.slice(i * dimension, (i + 1) * dimension)];
        const error = p.reduce((sum, v, c) => sum + (v - q[c]) ** 2, 0);
        const mean = q.reduce((sum, v) => sum + v, 0) / dimension;
        const variance = q.reduce((sum, v) => sum + (v - mean) ** 2, 0) /
          (dimension - 1);
        const scale = 64 * dimension * EPSILON;
        const found = mse(a, b, { dimension }).perSample[i];
        assert.ok(Math.abs(found - error / dimension) <= scale);
        // Below this the rounding of the mean, not the spread, is what the formula measures.
        if (variance < 1e-8) continue;
        const expected = 1 - error / (dimension * variance);
        const r2 = rSquared(a, b, { dimension }).perSample[i];
        assert.ok(
          Math.abs(r2 - expected) <= scale / variance * (1 + Math.abs(r2)),
          `${r2} ${expected}`,
        );
      }
    }),
    SEED,
  );
});

Deno.test("mse is symmetric and rSquared is not", () => {
  const a = Float64Array.of(0, 1, 0), b = Float64Array.of(0, 0, 5);
  assert.equal(mse(a, b, { dimension: 3 }).mean, mse(b, a, { dimension: 3 }).mean);
  assert.notEqual(rSquared(a, b, { dimension: 3 }).mean, rSquared(b, a, { dimension: 3 }).mean);
});

Deno.test("mse and rSquared refuse what they cannot compare", () => {
  const row = Float64Array.of(1, 2);
  for (const measure of [mse, rSquared]) {
    assert.throws(() => measure(row, Float64Array.of(1), { dimension: 2 }), TypeError);
    assert.throws(() => measure(row, row, { dimension: 3 }), TypeError);
    assert.throws(() => measure(row, row, { dimension: 0.5 }), TypeError);
    assert.throws(
      () => measure(new Float64Array(), new Float64Array(), { dimension: 2 }),
      TypeError,
    );
    assert.throws(() => measure(row, Float64Array.of(1, NaN), { dimension: 2 }), RangeError);
    assert.throws(() => measure(Float64Array.of(Infinity, 0), row, { dimension: 2 }), {
      name: "RangeError",
      message: /sample 0 holds Infinity, wanted finite numbers/,
    });
  }
  assert.throws(() => rSquared(row, row, { dimension: 1 }), TypeError);
});

Deno.test("mse gives the median too, of an even number of samples the mean of the middle two", () => {
  const zeros = new Float64Array(4);
  assert.equal(mse(Float64Array.of(1, 10, 2), zeros.subarray(1), { dimension: 1 }).median, 4);
  assert.equal(mse(Float64Array.of(1, 10, 2, 3), zeros, { dimension: 1 }).median, (4 + 9) / 2);
});

Deno.test("pearson equals its formula, and ignores contrast and brightness", () => {
  fc.assert(
    fc.property(pairs, ({ a, b, dimension }) => {
      for (let i = 0; i < a.length / dimension; i++) {
        const [p, q] = [a, b].map((rows) => rows.slice(i * dimension, (i + 1) * dimension));
        const mean = (v: Float64Array) => v.reduce((sum, x) => sum + x, 0) / dimension;
        const [mp, mq] = [mean(p), mean(q)];
        let pq = 0, pp = 0, qq = 0;
        p.forEach((v, c) => {
          pq += (v - mp) * (q[c] - mq);
          pp += (v - mp) ** 2;
          qq += (q[c] - mq) ** 2;
        });
        // Below this the rounding of the mean is what the formula measures.
        if (pp < 1e-6 || qq < 1e-6) continue;
        const found = pearson(p, q, { dimension }).mean;
        const slack = 64 * dimension * EPSILON / Math.min(Math.sqrt(pp), Math.sqrt(qq));
        assert.ok(Math.abs(found - pq / Math.sqrt(pp * qq)) <= slack, `${found}`);
        const moved = pearson(p.map((v) => 3 * v + 2), q.map((v) => 1 - v), { dimension }).mean;
        assert.ok(Math.abs(moved + found) <= 8 * slack, `${moved} ${found}`);
      }
    }),
    SEED,
  );
});

Deno.test("pearson is 1 for equal samples, symmetric, and not rSquared", () => {
  const a = Float64Array.of(0.1, 0.7, -0.3, 0.2), b = Float64Array.of(0.3, 0.2, -0.9, 0.1);
  assert.equal(pearson(a, a, { dimension: 4 }).mean, 1);
  assert.equal(pearson(a, b, { dimension: 4 }).mean, pearson(b, a, { dimension: 4 }).mean);
  assert.equal(pearson(a.map((v) => v / 2), a, { dimension: 4 }).mean, 1);
  assert.ok(rSquared(a.map((v) => v / 2), a, { dimension: 4 }).mean < 1);
});

Deno.test("pearson refuses a constant sample, by its number", () => {
  const a = Float64Array.of(0, 1, 0.1, 0.1), b = Float64Array.of(0, 1, 1, 0);
  for (const [p, q] of [[a, b], [b, a]]) {
    assert.throws(() => pearson(p, q, { dimension: 2 }), {
      name: "RangeError",
      message:
        "Cannot compute the correlation: all numbers of sample 1 are equal in one of the sets, wanted samples that vary",
    });
  }
  assert.throws(() => pearson(a, b.subarray(1), { dimension: 2 }), TypeError);
  assert.throws(() => pearson(a, a, { dimension: 1 }), RangeError);
});
