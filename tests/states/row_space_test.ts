import type { StateSpace } from "@closedform/diffusion";
import { openDevice, startNoise } from "@closedform/diffusion";
import { arraySpace, tensorSpace } from "@closedform/diffusion/compute";
import { rowSpace } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { assertClose, EPS32 } from "../_helpers/tolerance.ts";

const SHAPE = [2, 3], D = 6;

/** Every operation, on blocks of two rows, against loops that are written out. */
async function check<X>(space: StateSpace<X>, epsilon: number) {
  const rows = rowSpace(space, SHAPE);
  const a = startNoise(1, 0, 6, D), b = startNoise(2, 0, 3, D);
  const [x, y] = [space.from(a, [6, ...SHAPE]), space.from(b, [3, ...SHAPE])];
  const [m, n] = [startNoise(3, 0, 3, 3 * 2), startNoise(4, 0, 3, 3)];
  // Three products and sums of normal numbers, rounded a few times each.
  const tolerance = 100 * epsilon;

  assert.equal(rows.rows(x), 6);
  const mixed = rows.mix(3, [{ matrices: m, state: x }, { matrices: n, state: y }]);
  assertClose(
    await space.values(mixed),
    Float64Array.from({ length: 9 * D }, (_, at) => {
      const row = Math.floor(at / D), c = at % D, block = Math.floor(row / 3);
      return m[2 * row] * a[2 * block * D + c] + m[2 * row + 1] * a[(2 * block + 1) * D + c] +
        n[row] * b[block * D + c];
    }),
    tolerance,
    "mix",
  );
  const [squares, products] = await rows.dots([[x, x], [y, y]]);
  const dot = (v: Float64Array, r: number) =>
    v.subarray(r * D, r * D + D).reduce((sum, e) => sum + e * e, 0);
  assertClose(squares, Float64Array.from({ length: 6 }, (_, r) => dot(a, r)), tolerance, "dots");
  assertClose(products, Float64Array.from({ length: 3 }, (_, r) => dot(b, r)), tolerance, "dots");
  const taken = rows.take(x, [5, 0, 5]), joined = rows.concat([y, taken]), one = rows.concat([y]);
  const stored = await space.values(x);
  const picked = [5, 0, 5].flatMap((r) => [...stored.subarray(r * D, r * D + D)]);
  assert.deepEqual([...await space.values(taken)], picked);
  assert.deepEqual([...await space.values(joined)], [...await space.values(y), ...picked]);
  space.dispose(taken, joined, mixed, x, y);
  assert.deepEqual((await space.values(one)).length, 3 * D);
  space.dispose(one);
}

Deno.test("rowSpace() works on arrays", async () => {
  await check(arraySpace, 2 ** -53);
});

Deno.test("rowSpace() works on tensors and leaves none behind", async () => {
  using _device = await openDevice("wasm");
  await withoutLeaks(() => check(tensorSpace, EPS32));
});

Deno.test("rowSpace() skips zero coefficients of arrays, and refuses what does not fit", () => {
  const { mix } = rowSpace(arraySpace, [1]);
  const state = Float64Array.of(NaN, 2);
  assert.deepEqual([...mix(1, [{ matrices: Float64Array.of(0, 3), state }])], [6]);
  assert.throws(() => mix(2, [{ matrices: Float64Array.of(1, 2, 3), state }]), TypeError);
  assert.throws(
    () =>
      mix(1, [{ matrices: Float64Array.of(1, 2), state }, {
        matrices: Float64Array.of(1, 2, 3, 4),
        state,
      }]),
    TypeError,
  );
  assert.throws(() => rowSpace({ ...arraySpace }, [1]), TypeError);
});
