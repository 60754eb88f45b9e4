import { Dataset, moons, shapes, startNoise } from "@closedform/diffusion";
import { extentOf } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { assertClose } from "../../_helpers/tolerance.ts";

Deno.test("extentOf() is no less than any distance of two items, nor more than needed", () => {
  const box = new Dataset({
    data: Float32Array.from(startNoise(1, 0, 40, 5), (e) => 3 + Math.max(-1, Math.min(1, e))),
    shape: [5],
    name: "a box",
  });
  for (const set of [moons(60), shapes(30), box]) {
    const { diameter, spread, low, high } = extentOf(set);
    const items = Array.from({ length: set.count }, (_, i) => set.values(i));
    const distance = (a: ArrayLike<number>, b: ArrayLike<number>) => {
      let square = 0;
      for (let c = 0; c < a.length; c++) square += (a[c] - b[c]) ** 2;
      return Math.sqrt(square);
    };
    const numbers = items.flatMap((item) => [...item]);
    // Bytes become data units in float32 here, in float64 there.
    assertClose([low, high], [Math.min(...numbers), Math.max(...numbers)], 1e-6, set.name);
    let most = 0;
    for (const a of items) for (const b of items) most = Math.max(most, distance(a, b));
    const mean = set.mean();
    const radii = items.map((item) => distance(item, mean));
    // Values are float32 here, and exact there.
    assert.ok(diameter >= most * (1 - 1e-6), `${set.name}: ${diameter} of ${most}`);
    assert.ok(diameter <= 2 * Math.max(...radii) * (1 + 1e-6), set.name);
    const expected = radii.reduce((sum, r) => sum + r * r, 0) / set.count;
    assertClose([spread], [expected], 1e-5 * expected, `${set.name}: spread`);
  }
  // A box is smaller than the ball around it.
  const diagonal = 2 * Math.sqrt(5);
  assert.ok(extentOf(box).diameter <= diagonal * (1 + 1e-6));
});

Deno.test("extentOf() of one item is nothing", () => {
  const set = new Dataset({ data: Float32Array.of(1, 2), shape: [2], name: "a point" });
  assert.deepEqual(extentOf(set), { diameter: 0, spread: 0, low: 1, high: 2 });
});
