import assert from "node:assert/strict";
import {
  lineThrough,
  meanOf,
  shrunk,
  studentLimit,
} from "../../../src/samplers/dpm_v3/regression.ts";
import { RandomStream } from "../../../src/base/random.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

function normals(count: number, seed: number): Float64Array {
  const stream = new RandomStream({ seed, sample: 0, purpose: "theory" });
  return Float64Array.from({ length: count }, () => stream.normal());
}

Deno.test("studentLimit() is the 97.5 % quantile of Student's distribution, or on the careful side of it", () => {
  // From tables of the distribution.
  for (
    const [freedom, quantile, most] of [
      [1, 12.706, 1.39],
      [2, 4.303, 1.05],
      [3, 3.182, 1.02],
      [5, 2.571, 1.01],
      [10, 2.228, 1.001],
      [63, 1.998, 1.001],
    ]
  ) {
    const ratio = studentLimit(freedom) / quantile;
    assert.ok(ratio > 0.999 && ratio < most, `${freedom}: ${ratio}`);
  }
  assert.equal(studentLimit(0), Infinity);
  assert.equal(studentLimit(-1), Infinity);
  assert.equal(studentLimit(NaN), Infinity);
  assert.equal(studentLimit(1e-9), Infinity);
});

Deno.test("shrunk() is nothing below its error, continuous, and nearly all far above", () => {
  assert.equal(shrunk({ value: 2, error: 2 }), 0);
  assert.equal(shrunk({ value: -2, error: 3 }), 0);
  assert.equal(shrunk({ value: 0, error: 0 }), 0);
  assert.equal(shrunk({ value: 2, error: Infinity }), 0);
  assert.equal(shrunk({ value: -2, error: 1 }), -1.5);
  assert.equal(shrunk({ value: 2, error: 0 }), 2);
});

Deno.test("lineThrough() has the error of leaving out one draw after the other", () => {
  const n = 40, x = normals(n, 1), noise = normals(n, 2);
  const y = x.map((v, i) => 3 - 0.7 * v + noise[i] * (0.2 + Math.abs(v)));
  const fit = (kept: number[]) => {
    const mean = (list: Float64Array) => kept.reduce((sum, i) => sum + list[i], 0) / kept.length;
    const [mx, my] = [mean(x), mean(y)];
    const [top, below] = [(i: number) => y[i] - my, (i: number) => x[i] - mx]
      .map((of) => kept.reduce((sum, i) => sum + (x[i] - mx) * of(i), 0));
    return top / below;
  };
  const all = Array.from(x, (_, i) => i), slope = fit(all);
  const without = all.map((i) => fit(all.filter((k) => k !== i)));
  const jackknife = Math.sqrt((n - 1) / n * without.reduce((sum, s) => sum + (s - slope) ** 2, 0));
  const mx = x.reduce((sum, v) => sum + v, 0) / n;
  const V = x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
  const fourth = x.reduce((sum, v) => sum + (v - mx) ** 4, 0);
  const line = lineThrough(x, y, 0.01, 0);
  // Sums of some tens of numbers of size 1, and quotients of them.
  const tolerance = 1e3 * Number.EPSILON;
  assertClose([line.x, line.slope.value], [mx, slope], tolerance, "line");
  assertClose(
    [line.slope.error],
    [studentLimit(V * V / fourth - 1) * jackknife + 0.01 / Math.sqrt(V / n)],
    tolerance,
    "error",
  );
});

Deno.test("lineThrough() errs by more than its error in one data set of twenty", () => {
  // Draws as f is: normal ones, and some that stand out. Counted with their own standard error, of a share of 5 %.
  const trials = 2000;
  for (const power of [1, 3]) {
    let missed = 0;
    for (let seed = 0; seed < trials; seed++) {
      const all = normals(64, 100 + seed), x = all.slice(0, 32).map((v) => v ** power);
      const { slope } = lineThrough(x, x.map((v, i) => 2 * v + all[32 + i]), 0, 0);
      if (Math.abs(slope.value - 2) > slope.error) missed++;
    }
    const share = missed / trials, deviation = Math.sqrt(0.05 * 0.95 / trials);
    assert.ok(share < 0.05 + 4 * deviation, `power ${power}: missed ${share}`);
    if (power === 1) {
      assert.ok(share > 0.025, `missed ${share}: careful by more than a factor of 2`);
    }
  }
});

Deno.test("lineThrough() knows nothing of a slope that rests on one draw, or on rounding", () => {
  const one = new Float64Array(64), rate = new Float64Array(64);
  [one[5], rate[5]] = [1, 40];
  const alone = lineThrough(one, rate, 0, 0);
  assert.equal(shrunk(alone.slope), 0);
  assert.ok(Math.abs(alone.slope.value - 40) < 1e-12, "the slope itself is there");
  // Rounding 1e-8 of an output, and what a difference over 0.1 makes of it.
  const rounded = normals(64, 3).map((v) => 1e-8 * v),
    rates = normals(64, 4).map((v) => 1.4e-7 * v);
  assert.equal(shrunk(lineThrough(rounded, rates, 5.6e-7, 0).slope), 0);
  assert.deepEqual(lineThrough(one, rate, 0, 1).slope, { value: 0, error: 0 });
  assert.equal(shrunk(lineThrough(Float64Array.of(1, 2), Float64Array.of(5, 9), 0, 0).slope), 0);
});

Deno.test("meanOf() has the limit of a normal mean", () => {
  // 64 draws of variance 1, whose squares about their mean add up to 63: a standard error of 1/8. The limit has three digits.
  const { value, error } = meanOf(0.3, 63, 64);
  assert.equal(value, 0.3);
  assertClose([error], [1.998 / 8], 1e-3 / 8, "error");
});
