import {
  ddpmGrid,
  moons,
  RandomStream,
  readCifar10,
  readIdx,
  shapes,
  startNoise,
} from "@closedform/diffusion";
import { referencePosterior } from "@closedform/diffusion/compute";
import {
  posteriorLogits,
  rowsByLogit,
  subsetSizes,
  truncation,
} from "@closedform/diffusion/theory";
import type { Dataset, PointSet } from "@closedform/diffusion";
import type { Truncation } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { dataPath, hasData } from "../_helpers/data.ts";
import { assertClose } from "../_helpers/tolerance.ts";

const EPS64 = 2 ** -53;

/** Any logits, any data, any subset: the theorem asks for nothing else. */
function draw(stream: RandomStream): { points: PointSet; logits: Float64Array; rows: number[] } {
  const count = 2 + stream.below(60), dimension = 1 + stream.below(5);
  const data = Float32Array.from({ length: count * dimension }, () => 2 * stream.uniform() - 1);
  const spread = 10 ** (4 * stream.uniform() - 2);
  const logits = Float64Array.from({ length: count }, () => spread * stream.normal() - 50);
  const sorted = [...rowsByLogit(logits)];
  const k = 1 + stream.below(count - 1);
  if (stream.uniform() < 0.5) {
    return { points: { data, dimension }, logits, rows: sorted.slice(0, k) };
  }
  const rows = sorted.filter(() => stream.uniform() < 0.5);
  return { points: { data, dimension }, logits, rows: rows.length ? rows : [sorted[0]] };
}

/** `D`, `D_S` and `ε` the plain way. */
function bruteForce({ points, logits, rows }: ReturnType<typeof draw>) {
  const { data, dimension } = points;
  const top = Math.max(...logits);
  const weights = [...logits].map((l) => Math.exp(l - top));
  const inside = new Set(rows);
  const mean = (keep: (i: number) => boolean) => {
    const total = weights.reduce((sum, w, i) => keep(i) ? sum + w : sum, 0);
    return {
      total,
      mean: Array.from(
        { length: dimension },
        (_, c) =>
          weights.reduce((sum, w, i) => keep(i) ? sum + w * data[i * dimension + c] : sum, 0) /
          total,
      ),
    };
  };
  const all = mean(() => true), kept = mean((i) => inside.has(i));
  return { mean: all.mean, keptMean: kept.mean, mass: 1 - kept.total / all.total };
}

/** Left and right sides of everything that the theorem says. */
function sides(t: Truncation): [number, number][] {
  const { error, meanAware, bounds: { mass, largest, gap, kthGap }, difference } = t;
  return [
    [error, meanAware],
    [error, mass],
    [mass, largest],
    [largest, gap],
    [largest, kthGap],
    [t.mass, 1],
    [largest, 2 * t.radius],
    ...Array.from(difference, (v, c): [number, number] => [Math.abs(v), t.perCoordinate[c]]),
  ];
}

Deno.test("truncation() says least where all kept items tie: the bound by the k-th gap is then that by the sum", () => {
  // Three kept items of logit -2, two others of -3 and -4: unseen at most 2 e⁻³, kept 3 e⁻².
  const points = { data: Float32Array.of(0, 1, 2, 3, 4), dimension: 1 };
  const t = truncation(points, [-2, -2, -2, -3, -4], [0, 1, 2]);
  const ratio = 2 * Math.exp(-3) / (3 * Math.exp(-2)), diameter = 2 * t.radius;
  assertClose([t.bounds.kthGap], [diameter * ratio], 8 * EPS64 * diameter, "k-th gap");
  assertClose([t.bounds.gap], [3 * diameter * ratio], 8 * EPS64 * diameter, "gap");
  assertClose([t.bounds.largest], [diameter * ratio / (1 + ratio)], 8 * EPS64 * diameter, "sum");
});

Deno.test("truncation() bounds the error in 10,000 random cases, in every form", () => {
  const stream = new RandomStream({ seed: 50, purpose: "theory" });
  let violations = 0, discriminating = 0;
  for (let n = 0; n < 10_000; n++) {
    const problem = draw(stream);
    const found = truncation(problem.points, problem.logits, problem.rows);
    // Denormal numbers have lost their digits.
    const broken = sides(found).filter(([left, right]) =>
      left > 1e-300 && left > right * (1 + 1e-9)
    );
    violations += broken.length;
    if (found.error > 0.2 * found.bounds.mass) discriminating++;
  }
  assert.equal(violations, 0);
  // The bounds are near enough to the error that a wrong factor would show.
  assert.ok(discriminating > 500, `${discriminating}`);
});

Deno.test("truncation() equals brute force, and D - D_S = ε(D_T - D_S)", () => {
  const stream = new RandomStream({ seed: 51, purpose: "theory" });
  for (let n = 0; n < 1000; n++) {
    const problem = draw(stream);
    const found = truncation(problem.points, problem.logits, problem.rows);
    const wanted = bruteForce(problem);
    if (!wanted.keptMean.every(Number.isFinite)) continue;
    // Sums over up to 61 numbers of size at most 1, with logits rounded at size up to 500.
    const slack = 2000 * EPS64;
    assertClose(found.mean, wanted.mean, slack, "mean");
    assertClose(
      found.keptMean,
      wanted.keptMean,
      slack / Math.max(1e-300, 1 - wanted.mass),
      "kept mean",
    );
    assertClose([found.mass], [wanted.mass], slack, "mass");
    found.difference.forEach((v, c) => {
      const identity = found.mass * (found.discardedMean[c] - found.keptMean[c]);
      assert.ok(Math.abs(v - identity) <= slack * found.mass, `${v} ${identity}`);
      assert.ok(Math.abs(v - (found.mean[c] - found.keptMean[c])) <= 2 * slack);
    });
  }
});

Deno.test("truncation() to all rows is the full scan; to one at low noise, the nearest image", () => {
  const points = shapes(60, { size: 8 });
  const all = Uint32Array.from({ length: 60 }, (_, i) => i);
  for (const sigma of [0.05, 1, 20]) {
    const query = startNoise(4, 0, 1, points.dimension);
    const full = truncation(points, posteriorLogits(points, query, sigma), all);
    assertClose(full.keptMean, referencePosterior(points, query, sigma).mean, 256 * EPS64, "mean");
    assert.equal(full.error, 0);
    assert.equal(full.logMass, -Infinity);
    assert.deepEqual(full.bounds, { mass: 0, largest: 0, gap: 0, kthGap: 0 });
  }
  const noise = startNoise(5, 0, 1, points.dimension);
  const query = points.values(17).map((v, c) => v + 0.01 * noise[c]);
  const logits = posteriorLogits(points, query, 0.01);
  const one = truncation(points, logits, rowsByLogit(logits).subarray(0, 1));
  // values() rounds to float32.
  assertClose(one.keptMean, points.values(17), 2 ** -24, "nearest image");
  assertClose(one.mean, one.keptMean, 0, "full mean");
});

Deno.test("truncation() keeps the digits of a mass far below the machine epsilon", () => {
  const points = { data: Float32Array.of(0, 1, 0.5), dimension: 1 };
  const { mass, error, logMass } = truncation(points, [0, -200, -201], [0]);
  const wanted = Math.exp(-200) + Math.exp(-201);
  // exp() of a logit of size 200 is off by up to 200 ε.
  assert.ok(Math.abs(mass / wanted - 1) < 1000 * EPS64, `${mass}`);
  assert.ok(Math.abs(logMass - Math.log(wanted)) < 1000 * EPS64);
  const moved = Math.exp(-200) + 0.5 * Math.exp(-201);
  assert.ok(Math.abs(error / moved - 1) < 1000 * EPS64, `${error}`);
});

Deno.test("truncation() in distances: the gap is (r_T² - r_S²)/2σ²", () => {
  const points = moons(100), sigma = 0.2, query = [0.1, 0.4];
  const logits = posteriorLogits(points, query, sigma);
  const rows = rowsByLogit(logits);
  const r = [...rows].map((i) =>
    Math.hypot(query[0] - points.data[2 * i], query[1] - points.data[2 * i + 1])
  );
  const { bounds, radius } = truncation(points, logits, rows.subarray(0, 7));
  const gap = (r[7] ** 2 - r[0] ** 2) / (2 * sigma * sigma);
  const wanted = 2 * radius * 93 * Math.exp(-gap);
  assert.ok(Math.abs(bounds.gap / wanted - 1) < 1e-12);
});

Deno.test("truncation() refuses what is no subset", () => {
  const points = { data: Float32Array.of(0, 1, 2), dimension: 1 };
  assert.throws(() => truncation(points, [0, 0], [0]), TypeError);
  for (const rows of [[], [3], [-1], [0.5]]) {
    assert.throws(() => truncation(points, [0, 0, 0], rows), RangeError);
  }
  assert.throws(() => truncation(points, [0, 0, 0], [1, 1]), {
    name: "RangeError",
    message:
      "Cannot truncate the posterior: the subset holds row 1 twice, wanted rows below 3, each once",
  });
});

const REAL: readonly [string, string, () => Promise<Dataset>][] = [
  ["CIFAR-10", "cifar-10-batches-bin", () => readCifar10(dataPath("cifar-10-batches-bin"))],
  ["MNIST", "mnist", () => readIdx(dataPath("mnist/train-images-idx3-ubyte.gz"))],
];

for (const [name, file, read] of REAL) {
  const present = hasData(file);
  Deno.test({
    name: `truncation() and subsetSizes() hold on ${name} along the grid` +
      (present ? "" : `, skipped: no ${name}`),
    ignore: !present,
    fn: async () => {
      const all = await read();
      const data = all.take(300);
      for (const [q, sigma] of ddpmGrid(10).sigmas.slice(0, -1).entries()) {
        // A held-out image under noise.
        const noise = startNoise(32, q, 1, data.dimension);
        const query = Float64Array.from(all.values(1000 + q), (v, c) => v + sigma * noise[c]);
        const logits = posteriorLogits(data, query, sigma);
        const rows = rowsByLogit(logits);
        const { exact, largest, gap } = subsetSizes(logits, 1e-3);
        assert.ok(exact <= largest && largest <= gap);
        for (const k of [1, 5, 50, 200, 299, exact]) {
          const found = truncation(data, logits, rows.subarray(0, k));
          for (const [left, right] of sides(found)) {
            assert.ok(left <= 1e-300 || left <= right * (1 + 1e-9), `${left} ${right} k ${k}`);
          }
          if (k === exact) assert.ok(found.mass <= 1e-3 * (1 + 1e-9));
        }
      }
    },
  });
}
