import { RandomStream } from "@closedform/diffusion";
import { transportMass } from "@closedform/diffusion/theory";
import type { Move, UnseenMass } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";

const EPSILON = 2 ** -52;

function logSumExp(logits: ArrayLike<number>): number {
  const list = Array.from(logits);
  const top = Math.max(...list);
  return top + Math.log(list.reduce((sum, l) => sum + Math.exp(l - top), 0));
}

function logitsOf(query: Float64Array, items: Float64Array[], sigma: number): Float64Array {
  return Float64Array.from(items, (item) => {
    const square = item.reduce((sum, v, c) => sum + (query[c] - v) ** 2, 0);
    return -square / (2 * sigma * sigma);
  });
}

/** A case: items anywhere from far off to where the inequality is tight, two queries, two noise levels. */
function draw(stream: RandomStream) {
  const dimension = 1 + stream.below(20), count = 1 + stream.below(30);
  const vector = (scale: number) =>
    Float64Array.from({ length: dimension }, () => scale * stream.normal());
  const sigma = Math.exp(6 * stream.uniform() - 4);
  const nextSigma = stream.uniform() < 0.8
    ? sigma * stream.uniform() + 1e-3
    : sigma / stream.uniform();
  const [query, moved] = [vector(1), vector(10 ** (2 - 4 * stream.uniform()))];
  const next = query.map((v, c) => v + moved[c]);
  const rho = stream.uniform();
  // At this place Young's inequality is an equality for ρ.
  const tight = next.map((v, c) => (v - rho * query[c]) / (1 - rho));
  const spread = 10 ** (3 * stream.uniform() - 2.5);
  const items = Array.from({ length: count }, () => {
    const noise = vector(spread);
    return stream.uniform() < 0.5 ? noise : noise.map((v, c) => tight[c] + v / 100);
  });
  const logits = logitsOf(query, items, sigma);
  const nextLogits = logitsOf(next, items, nextSigma);
  const distance = Math.hypot(...moved);
  return { count, logits, nextLogits, move: { sigma, nextSigma, distance } };
}

/** A few roundings of every term that enters, logits taken relative to their own query. */
function rounding(unseen: UnseenMass, nextTop: number, { sigma, nextSigma, distance }: Move) {
  const ratio = (sigma / nextSigma) ** 2;
  const largest = Math.max(
    1,
    Math.abs(unseen.logMass) * ratio,
    (distance / nextSigma) ** 2,
    Math.abs(nextTop),
  );
  return 64 * EPSILON * largest;
}

Deno.test("transportMass() is never exceeded in 10,000 random cases, and is often close", () => {
  const stream = new RandomStream({ seed: 40, purpose: "theory" });
  let violations = 0, close = 0, useful = 0;
  for (let n = 0; n < 10_000; n++) {
    const { count, logits, nextLogits, move } = draw(stream);
    const logMass = logSumExp(logits), largest = Math.max(...logits);
    const [next, nextTop] = [logSumExp(nextLogits), Math.max(...nextLogits)];
    const slack = rounding({ count, logMass }, nextTop, move);
    const bounds = transportMass({ count, logMass, largest }, move);
    const blind = transportMass({ count, logMass }, move);
    if (next > bounds.logMass + slack || nextTop > bounds.largest + slack) violations++;
    if (next > blind.logMass + slack || nextTop > blind.largest + slack) violations++;
    // What is known of the largest logit can only help.
    if (bounds.logMass > blind.logMass + slack) violations++;
    if (bounds.logMass < next + 0.5) close++;
    if (bounds.logMass < Math.log(count) - 0.5) useful++;
  }
  assert.equal(violations, 0);
  assert.ok(close > 500, `within half a nat in ${close} cases`);
  assert.ok(useful > 2000, `below the trivial bound in ${useful} cases`);
});

Deno.test("transportMass() is the least of its formula over all rho", () => {
  const stream = new RandomStream({ seed: 41, purpose: "theory" });
  for (let n = 0; n < 300; n++) {
    const { count, logits, move } = draw(stream);
    const [logMass, largest] = [logSumExp(logits), Math.max(...logits)];
    const { sigma, nextSigma, distance } = move;
    const formula = (rho: number) => {
      const kappa = rho * (sigma / nextSigma) ** 2;
      const offset = rho / (1 - rho) * distance ** 2 / (2 * nextSigma ** 2);
      return offset +
        (kappa >= 1
          ? logMass + (kappa - 1) * largest
          : kappa * logMass + (1 - kappa) * Math.log(count));
    };
    const bound = transportMass({ count, logMass, largest }, move).logMass;
    const slack = rounding({ count, logMass }, 0, move);
    let least = Infinity, at = 0;
    for (let j = 1; j < 2000; j++) {
      const value = formula(j / 2000);
      if (value < least) [least, at] = [value, j / 2000];
    }
    // From the best of the scan on, by golden section, as the formula is convex.
    let [lo, hi] = [Math.max(1e-12, at - 1 / 2000), Math.min(1 - 1e-12, at + 1 / 2000)];
    for (let j = 0; j < 100; j++) {
      const [a, b] = [lo + 0.382 * (hi - lo), lo + 0.618 * (hi - lo)];
      if (formula(a) < formula(b)) hi = b;
      else lo = a;
    }
    least = Math.min(least, formula(lo));
    assert.ok(bound <= least + slack, `${bound} above ${least}`);
    // The least value may lie at an end of the range, which the search approaches to 1e-12.
    const end = 1e-11 * slack / EPSILON;
    assert.ok(bound >= least - slack - end, `${bound} below ${least}`);
  }
});

Deno.test("transportMass() of one item is the triangle inequality", () => {
  for (
    const [r, sigma, nextSigma, distance] of [[4, 2, 1, 1], [3, 0.5, 0.4, 2.5], [2, 1, 3, 0.5]]
  ) {
    const { logMass, largest } = transportMass(
      { count: 1, logMass: -(r * r) / (2 * sigma * sigma) },
      { sigma, nextSigma, distance },
    );
    const expected = -((r - distance) ** 2) / (2 * nextSigma * nextSigma);
    assert.ok(Math.abs(logMass - expected) <= 16 * EPSILON * (r / nextSigma) ** 2);
    assert.equal(largest, logMass);
  }
  // A query that moves past the item may come to lie upon it.
  assert.equal(
    transportMass({ count: 1, logMass: -2 }, { sigma: 1, nextSigma: 1, distance: 5 }).logMass,
    0,
  );
});

Deno.test("transportMass() raises the lead of the kept item by 1/ρ over a DDIM step that heads for it", () => {
  // The denoised point is the kept item at distance r, the unseen item lies beside it.
  const [sigma, nextSigma] = [2, 1.5], rho = nextSigma / sigma, r = 9, gap = 7;
  const kept = -(r * r) / (2 * sigma * sigma);
  const { logMass } = transportMass(
    { count: 10, logMass: kept - gap },
    { sigma, nextSigma, distance: (1 - rho) * r },
  );
  const nextKept = -((rho * r) ** 2) / (2 * nextSigma * nextSigma);
  const [lead, expected] = [nextKept - logMass, gap / rho];
  assert.ok(lead >= expected - 1e-12, `${lead} below ${expected}`);
  // The best ρ is not the step's, but near it.
  assert.ok(lead < 1.1 * expected, `${lead} far above ${expected}`);
});

Deno.test("transportMass() stays where the query stays, and knows nothing of no items", () => {
  const still = { sigma: 1, nextSigma: 1, distance: 0 };
  assert.deepEqual(transportMass({ count: 5, logMass: -3, largest: -4 }, still), {
    count: 5,
    logMass: -3,
    largest: -4,
  });
  const none = { count: 0, logMass: -Infinity, largest: -Infinity };
  assert.deepEqual(transportMass({ count: 0, logMass: -Infinity }, still), none);
  // Far away everything is possible, but no more than one per item.
  const far = transportMass({ count: 8, logMass: -3 }, { sigma: 1, nextSigma: 1, distance: 1e9 });
  assert.deepEqual(far, { count: 8, logMass: Math.log(8), largest: 0 });
  // A step so short that 1 − ρ is far below the machine epsilon.
  const near = transportMass({ count: 1, logMass: -3 }, { ...still, distance: 1e-20 });
  assert.equal(near.logMass, -3);
});

Deno.test("transportMass() covers a query that stays while its noise level rises or falls", () => {
  const stream = new RandomStream({ seed: 42, purpose: "theory" });
  for (let n = 0; n < 300; n++) {
    const { count, logits, move: { sigma } } = draw(stream);
    const nextSigma = sigma * (1 + (n % 2 ? 3 : -0.9) * stream.uniform());
    const next = logits.map((l) => l * (sigma / nextSigma) ** 2);
    const logMass = logSumExp(logits), largest = Math.max(...logits);
    const move = { sigma, nextSigma, distance: 0 };
    const slack = rounding({ count, logMass }, Math.max(...next), move);
    for (const unseen of [{ count, logMass, largest }, { count, logMass }]) {
      const bounds = transportMass(unseen, move);
      assert.ok(logSumExp(next) <= bounds.logMass + slack, `${sigma} to ${nextSigma}`);
      assert.ok(Math.max(...next) <= bounds.largest + slack, `${sigma} to ${nextSigma}`);
    }
  }
});

Deno.test("transportMass() refuses what is no mass and no move", () => {
  const unseen = { count: 3, logMass: -1 }, move = { sigma: 1, nextSigma: 1, distance: 1 };
  for (const wrong of [{ count: -1 }, { count: NaN }, { logMass: NaN }, { logMass: Infinity }]) {
    assert.throws(() => transportMass({ ...unseen, ...wrong }, move), RangeError);
  }
  assert.throws(() => transportMass({ ...unseen, largest: NaN }, move), RangeError);
  for (const wrong of [{ sigma: 0 }, { nextSigma: NaN }, { nextSigma: Infinity }]) {
    assert.throws(() => transportMass(unseen, { ...move, ...wrong }), RangeError);
  }
  assert.throws(() => transportMass(unseen, { ...move, distance: -1 }), {
    name: "RangeError",
    message:
      "Cannot transport the mass of unseen items: distance is -1, wanted a finite number >= 0",
  });
});
