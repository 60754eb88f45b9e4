import assert from "node:assert/strict";
import { precisionRecall } from "../../src/metrics/precision_recall.ts";
import { startNoise } from "../../src/base/random.ts";

Deno.test("precisionRecall() is one for equal sets and zero for sets far apart", () => {
  const a = startNoise(1, 0, 50, 3);
  assert.deepEqual(precisionRecall(a, a, { dimension: 3 }), { precision: 1, recall: 1 });
  assert.deepEqual(precisionRecall(a, a.map((v) => v + 100), { dimension: 3 }), {
    precision: 0,
    recall: 0,
  });
});

Deno.test("precisionRecall() tells a mode that is missing from one that is made up", () => {
  const mode = (seed: number, at: number) => startNoise(seed, 0, 100, 2).map((v) => v + at);
  const two = (a: Float64Array, b: Float64Array) => Float64Array.of(...a, ...b);
  const data = two(mode(1, 0), mode(2, 50));
  const missing = precisionRecall(mode(3, 0), data, { dimension: 2 });
  assert.ok(missing.precision > 0.9 && missing.recall <= 0.5 && missing.recall > 0.4);
  const madeUp = precisionRecall(two(mode(3, 0), mode(4, -50)), mode(1, 0), { dimension: 2 });
  assert.ok(madeUp.recall > 0.9 && madeUp.precision <= 0.5 && madeUp.precision > 0.4);
});

Deno.test("precisionRecall() of independent draws equals brute force by sorted distances", () => {
  const a = startNoise(5, 0, 40, 2), b = startNoise(6, 0, 30, 2), k = 2;
  const row = (x: Float64Array, i: number) => [x[2 * i], x[2 * i + 1]];
  const between = (p: number[], q: number[]) => Math.hypot(p[0] - q[0], p[1] - q[1]);
  const share = (points: Float64Array, support: Float64Array) => {
    const rows = Array.from({ length: support.length / 2 }, (_, i) => row(support, i));
    const radii = rows.map((p) => rows.map((q) => between(p, q)).sort((x, y) => x - y)[k]);
    const inside = Array.from(
      { length: points.length / 2 },
      (_, i) => rows.some((q, j) => between(row(points, i), q) <= radii[j]),
    );
    return inside.filter(Boolean).length / inside.length;
  };
  assert.deepEqual(precisionRecall(a, b, { dimension: 2, k }), {
    precision: share(a, b),
    recall: share(b, a),
  });
});

Deno.test("precisionRecall() refuses k out of range", () => {
  for (const k of [0, 1.5, 3]) {
    assert.throws(() => precisionRecall([1, 2, 3], [1, 2, 3, 4], { dimension: 1, k }), RangeError);
  }
});
