import assert from "node:assert/strict";
import { collocationRule } from "../../../src/samplers/collocation/weights.ts";
import { CollocationWindow } from "../../../src/samplers/collocation/window.ts";

/** A window whose sweeps change its end by these amounts. */
function swept(increments: readonly number[]): CollocationWindow {
  const rule = collocationRule("chebyshev", 4);
  const window = new CollocationWindow(rule, 0, 0.5, 0);
  const zeros = () => new Float64Array(rule.count);
  for (const increment of increments) {
    const products = {
      secants: zeros(),
      moves: zeros(),
      sizes: zeros(),
      increment: increment ** 2,
    };
    window.measure(products, Infinity);
  }
  return window;
}

const falling = (ratio: number, count: number) =>
  Array.from({ length: count }, (_, k) => ratio ** k);

Deno.test("a window is given up where its sweeps hardly converge, or converge for too long", () => {
  // Four sweeps show that the changes fall by less than a tenth.
  assert.deepEqual([3, 4].map((count) => swept(falling(0.95, count)).isHopeless()), [false, true]);
  assert.equal(swept(falling(0.89, 4)).isHopeless(), false);
  // What falls steadily has fourteen.
  for (const ratio of [0.1, 0.89]) {
    const hopeless = [4, 13, 14].map((count) => swept(falling(ratio, count)).isHopeless());
    assert.deepEqual(hopeless, [false, false, true], `${ratio}`);
  }
});

Deno.test("what a window lacks is its last change times the ratio of the last two, at most a half", () => {
  const close = (found: number, wanted: number) => assert.ok(Math.abs(found - wanted) < 1e-15);
  close(swept([1]).remaining(), 0.5);
  close(swept([1, 0.1]).remaining(), 0.01);
  close(swept([1, 0.8]).remaining(), 0.4);
  close(swept([1, 0.8, 0.2]).remaining(), 0.05);
  close(swept([1, 0]).remaining(), 0);
  close(swept([0, 0.3]).remaining(), 0);
});
