import type { PointSet, PosteriorFacts } from "@closedform/diffusion";
import type { PartialPosterior } from "@closedform/diffusion/compute";
import { RandomStream, startNoise } from "@closedform/diffusion";
import { mergePosteriors, referencePosterior } from "@closedform/diffusion/compute";
import fc from "fast-check";
import assert from "node:assert/strict";
import { assertClose } from "../_helpers/tolerance.ts";

const EPS64 = 2 ** -53;
const DIMENSION = 3;
const QUERIES = 2;

function randomPoints(count: number, spread: number, seed: number): PointSet & { count: number } {
  const stream = new RandomStream({ seed, sample: 0, purpose: "data" });
  const data = Float32Array.from(
    { length: count * DIMENSION },
    () => spread * (2 * stream.uniform() - 1),
  );
  return { data, dimension: DIMENSION, count };
}

/** The posterior over rows `from … to − 1`. */
function part(points: PointSet, from: number, to: number, queries: Float64Array, sigma: number) {
  const data = points.data.slice(from * DIMENSION, to * DIMENSION);
  return { ...referencePosterior({ data, dimension: DIMENSION }, queries, sigma), firstRow: from };
}

/** Cuts rows into parts at random places; with many cuts, most parts are single rows. */
const problem = fc.record({
  count: fc.integer({ min: 1, max: 40 }),
  cuts: fc.array(fc.nat(), { maxLength: 60 }),
  spread: fc.constantFrom(0.1, 1, 300),
  sigma: fc.constantFrom(0.05, 0.4, 2, 50),
  seed: fc.nat({ max: 1000 }),
}).map(({ count, cuts, spread, sigma, seed }) => {
  const points = randomPoints(count, spread, seed);
  const queries = startNoise(seed, 0, QUERIES, DIMENSION);
  const borders = [...new Set([0, count, ...cuts.map((c) => c % count)])].sort((a, b) => a - b);
  const parts = borders.slice(1).map((to, i) => part(points, borders[i], to, queries, sigma));
  return { points, queries, sigma, parts };
});

/**
 * What rounding may do. A log normaliser is off by a few ε of its own size; shares, and with them
 * all that is a mean over rows, by as much relatively; sums over 40 rows add 40 ε.
 */
function tolerance({ logNormaliser, topLogit }: PosteriorFacts, q: number): number {
  return 8 * EPS64 * (40 + Math.abs(logNormaliser[q]) + Math.abs(topLogit[q]));
}

function assertSame(
  actual: ReturnType<typeof mergePosteriors>,
  expected: ReturnType<typeof mergePosteriors>,
  points: PointSet,
): void {
  const largest = Math.max(...points.data.map(Math.abs));
  const { facts } = expected;
  assert.deepEqual(actual.facts.topIndex, facts.topIndex);
  assert.deepEqual(actual.facts.topLogit, facts.topLogit);
  assert.deepEqual(actual.facts.logitGap, facts.logitGap);
  for (let q = 0; q < QUERIES; q++) {
    const relative = tolerance(facts, q);
    const [from, to] = [q * DIMENSION, (q + 1) * DIMENSION];
    const [mean, wanted] = [actual.mean, expected.mean].map((m) => m.subarray(from, to));
    assertClose(mean, wanted, relative * largest, "mean");
    const fact = (name: keyof PosteriorFacts, allowed: number) =>
      assertClose([actual.facts[name]![q]], [facts[name]![q]], allowed, name);
    fact("logNormaliser", relative);
    fact("effectiveSampleSize", 2 * relative * facts.effectiveSampleSize[q]);
    // −p log p of a share that is off by δ relatively moves by δ (1 + |log p|) p.
    fact("entropy", relative * (2 + facts.entropy[q]));
  }
}

Deno.test("mergePosteriors() over any partition is the posterior of the whole", () => {
  fc.assert(
    fc.property(problem, ({ points, queries, sigma, parts }) => {
      assertSame(mergePosteriors(parts), referencePosterior(points, queries, sigma), points);
    }),
    { seed: 1, numRuns: 300 },
  );
});

Deno.test("mergePosteriors() depends neither on the order nor on the grouping of the parts", () => {
  fc.assert(
    fc.property(problem, fc.nat(), ({ points, parts }, pick) => {
      const whole = mergePosteriors(parts);
      assertSame(mergePosteriors(parts.toReversed()), whole, points);
      const at = pick % parts.length;
      const groups = [parts.slice(0, at), parts.slice(at)].filter(({ length }) => length > 0);
      // A merged group counts its rows from that of the whole.
      assertSame(mergePosteriors(groups.map((group) => mergePosteriors(group))), whole, points);
      const fold = parts.reduce<PartialPosterior | undefined>(
        (sofar, next) => mergePosteriors(sofar ? [sofar, next] : [next]),
        undefined,
      );
      assertSame(fold as ReturnType<typeof mergePosteriors>, whole, points);
    }),
    { seed: 2, numRuns: 200 },
  );
});

Deno.test("mergePosteriors() gives a tie to the lowest row, whatever the order", () => {
  const data = Float32Array.of(5, 5, 5, 1, 1, 1, 1, 1, 1);
  const points = { data, dimension: DIMENSION };
  const queries = Float64Array.of(1, 1, 2);
  const parts = [0, 1, 2].map((i) => part(points, i, i + 1, queries, 1));
  for (const order of [parts, parts.toReversed(), [parts[1], parts[0], parts[2]]]) {
    const { facts } = mergePosteriors(order);
    assert.deepEqual([facts.topIndex[0], facts.topLogit[0], facts.logitGap[0]], [1, -0.5, 0]);
  }
});

Deno.test("mergePosteriors() leaves out parts that weigh nothing, without NaN", () => {
  const near = Float32Array.of(0, 0, 0, 0.1, 0, 0), far = Float32Array.of(1e6, 0, 0);
  const points = { data: Float32Array.of(...far, ...near), dimension: DIMENSION };
  const queries = Float64Array.of(0, 0, 0);
  const parts = [part(points, 0, 1, queries, 0.1), part(points, 1, 3, queries, 0.1)];
  const { mean, facts } = mergePosteriors(parts);
  const alone = part(points, 1, 3, queries, 0.1);
  assert.deepEqual(mean, alone.mean);
  for (const [name, [value]] of Object.entries(alone.facts) as [keyof PosteriorFacts, number[]][]) {
    // The top row of the far part comes first in the whole. An inverse of an inverse rounds twice.
    const wanted = name === "topIndex" ? 1 + value : value;
    assertClose([facts[name]![0]], [wanted], 4 * EPS64 * Math.abs(wanted), name);
  }
  // A single row has no second: its gap is infinite, and stays so when it is all there is.
  assert.equal(mergePosteriors([parts[0]]).facts.logitGap[0], Infinity);
});

Deno.test("mergePosteriors() refuses nothing, and parts that do not fit", () => {
  const points = randomPoints(2, 1, 1);
  const one = part(points, 0, 1, Float64Array.of(0, 0, 0), 1);
  const two = part(points, 0, 1, new Float64Array(6), 1);
  assert.throws(() => mergePosteriors([]), RangeError);
  assert.throws(() => mergePosteriors([one, two]), /2 queries in 6 numbers/);
  assert.throws(() => mergePosteriors([one, two]), TypeError);
});
