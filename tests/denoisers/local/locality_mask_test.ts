import { Dataset, dataSpectrum, localityMask, lowRank, RandomStream } from "@closedform/diffusion";
import { maskColumn, maskOf } from "@closedform/diffusion/compute";
import type { MaskRule, Spectrum } from "@closedform/diffusion";
import type { Mask } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { columnSizes } from "../../../src/compute/mask.ts";
import { filterMatrix } from "../../../src/compute/filter_matrix.ts";
import { assertClose } from "../../_helpers/tolerance.ts";

/** Rows whose neighbours are correlated and whose coordinates have different spreads; coordinate 3 is dead. */
function makeSet(count: number, dimension: number): Dataset {
  const random = new RandomStream({ seed: 4, purpose: "data" });
  const data = new Float32Array(count * dimension);
  for (let i = 0; i < count; i++) {
    let level = 0;
    for (let n = 0; n < dimension; n++) {
      level = 0.7 * level + random.normal();
      data[i * dimension + n] = n === 3 ? 0.5 : level * (0.2 + n / dimension);
    }
  }
  return new Dataset({ data, shape: [dimension], name: "correlated numbers" });
}

/** The sample covariance, by its definition. */
function covariance({ data, dimension: d, count }: Dataset): number[][] {
  const mean = Array.from({ length: d }, (_, n) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += data[i * d + n] / count;
    return sum;
  });
  return mean.map((a, n) =>
    mean.map((b, m) => {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += (data[i * d + n] - a) * (data[i * d + m] - b);
      return sum / (count - 1);
    })
  );
}

/** `W = Σ (Σ + σ²I)⁻¹ = I − σ² (Σ + σ²I)⁻¹`, by elimination: no eigenvectors. */
function wiener(cov: number[][], sigma: number): number[][] {
  const d = cov.length, square = sigma * sigma;
  const rows = cov.map((row, n) => [
    ...row.map((v, m) => v + (n === m ? square : 0)),
    ...row.map((_, m) => n === m ? 1 : 0),
  ]);
  for (let p = 0; p < d; p++) {
    const pivot = rows[p][p];
    rows[p] = rows[p].map((v) => v / pivot);
    for (let r = 0; r < d; r++) {
      if (r === p) continue;
      const factor = rows[r][p];
      rows[r] = rows[r].map((v, c) => v - factor * rows[p][c]);
    }
  }
  return rows.map((row, n) => row.slice(d).map((v, m) => (n === m ? 1 : 0) - square * v));
}

/** The mask by its definition. */
function definition(w: number[][], { theta, orientation, normalisation }: MaskRule): Mask {
  const own = (n: number) => w[n][n] < 1e-6 ? 1 : w[n][n];
  const quotient = (n: number, m: number) => {
    if (n === m) return 1;
    return Math.abs(w[n][m]) /
      (normalisation === "symmetric" ? Math.sqrt(own(n) * own(m)) : own(n));
  };
  const most = w.map((row, n) => Math.max(...row.map((_, m) => quotient(n, m))));
  const all = Math.max(...most);
  const kept = (n: number, m: number) =>
    quotient(n, m) >=
      theta * (normalisation === "row" ? most[n] : normalisation === "symmetric" ? 1 : all);
  return maskOf(w.length, (n, m) => orientation === "output" ? kept(m, n) : kept(n, m));
}

function sameMask(actual: Mask, expected: Mask, what: string): void {
  assert.deepEqual([...columnSizes(actual)], [...columnSizes(expected)], what);
  assert.ok(actual.bits.every((word, i) => word === expected.bits[i]), what);
}

Deno.test("localityMask() is the published mask and its variants, by elimination", async () => {
  const set = makeSet(200, 40), spectrum = await dataSpectrum(set), cov = covariance(set);
  for (const sigma of [20, 1, 0.3, 0.02]) {
    const filter = wiener(cov, sigma);
    for (const theta of [0.01, 0.1, 0.5]) {
      for (const orientation of ["input", "output"] as const) {
        for (const normalisation of ["global", "row", "symmetric"] as const) {
          const rule = { theta, orientation, normalisation };
          sameMask(
            await localityMask(spectrum, sigma, rule),
            definition(filter, rule),
            `sigma ${sigma}, ${JSON.stringify(rule)}`,
          );
        }
      }
    }
  }
});

Deno.test("localityMask() divides by the coordinate that counts, over the largest of all, unless told otherwise", async () => {
  const spectrum = await dataSpectrum(makeSet(200, 40));
  const published = { theta: 0.1, orientation: "input", normalisation: "global" } as const;
  const mask = await localityMask(spectrum, 1, { theta: 0.1 });
  sameMask(mask, await localityMask(spectrum, 1, published), "default");
  const other = await localityMask(spectrum, 1, { theta: 0.1, orientation: "output" });
  assert.ok(
    mask.bits.some((word, i) => word !== other.bits[i]),
    "spreads differ, so orientations do",
  );
});

Deno.test("localityMask() tends to the diagonal at low noise and to the correlations at high noise", async () => {
  const set = makeSet(500, 30), spectrum = await dataSpectrum(set), cov = covariance(set);
  const low = await localityMask(spectrum, 1e-5, { theta: 0.01 });
  for (let m = 0; m < 30; m++) assert.deepEqual(maskColumn(low, m), [m]);
  const rule = { theta: 0.1, normalisation: "row" } as const;
  // The least variance over σ² is still above 1e-6, below which a coordinate passes for dead.
  sameMask(await localityMask(spectrum, 150, rule), definition(cov, rule), "sigma 150");
  const dead = await localityMask(spectrum, 1e5, rule);
  for (let m = 0; m < 30; m++) assert.deepEqual(maskColumn(dead, m), [m]);
});

Deno.test("localityMask() keeps a dead coordinate to itself, and lets it keep others", async () => {
  const mask = await localityMask(await dataSpectrum(makeSet(200, 12)), 0.5, { theta: 0.05 });
  assert.deepEqual(maskColumn(mask, 3), [3]);
  for (let m = 0; m < 12; m++) assert.equal(maskColumn(mask, m).includes(3), m === 3);
});

Deno.test("localityMask() with threshold 0 is full, whatever the spectrum", async () => {
  for (const d of [1, 31, 32, 33, 64, 100]) {
    const spectrum: Spectrum = {
      mean: new Float64Array(d),
      variances: new Float64Array(0),
      basis: new Float64Array(0),
      floor: 0,
    };
    const mask = await localityMask(spectrum, 1, { theta: 0 });
    sameMask(mask, maskOf(d, () => true), `d = ${d}`);
  }
});

Deno.test("localityMask() gives the directions outside of a basis their floor", async () => {
  const set = makeSet(200, 20), whole = await dataSpectrum(set);
  const part = lowRank(whole, 6);
  const filled: Spectrum = {
    ...whole,
    variances: whole.variances.map((v, k) => k < 6 ? v : part.floor),
  };
  for (const sigma of [3, 0.4]) {
    sameMask(
      await localityMask(part, sigma, { theta: 0.02 }),
      await localityMask(filled, sigma, { theta: 0.02 }),
      `sigma ${sigma}`,
    );
  }
});

Deno.test("filterMatrix() by threads is the product by loops", async () => {
  const random = new RandomStream({ seed: 8, purpose: "data" });
  const d = 301, r = 200;
  const basis = Float64Array.from({ length: r * d }, () => random.normal() / Math.sqrt(d));
  const weights = Float64Array.from({ length: r }, () => random.normal());
  const matrix = await filterMatrix(basis, weights, d);
  for (const [a, b] of [[0, 0], [0, 300], [300, 0], [300, 300], [4, 3], [3, 4], [150, 151]]) {
    let expected = 0, size = 0;
    for (let k = 0; k < r; k++) {
      const term = weights[k] * basis[k * d + a] * basis[k * d + b];
      expected += term;
      size += Math.abs(term);
    }
    assertClose([matrix[a * d + b]], [expected], r * 2 ** -52 * size, `${a}, ${b}`);
  }
  for (let a = 0; a < d; a++) {
    for (let b = 0; b < a; b++) assert.equal(matrix[a * d + b], matrix[b * d + a]);
  }
  const reason = new RangeError("enough");
  const signal = AbortSignal.abort(reason);
  await assert.rejects(filterMatrix(basis, weights, d, { signal }), (error) => error === reason);
});

Deno.test("localityMask() refuses thresholds, noise levels and names out of range", async () => {
  const spectrum = await dataSpectrum(makeSet(20, 4));
  for (const theta of [-0.1, 1.1, NaN]) {
    await assert.rejects(localityMask(spectrum, 1, { theta }), RangeError);
  }
  for (const sigma of [0, -1, NaN, Infinity]) {
    await assert.rejects(localityMask(spectrum, sigma, { theta: 0.1 }), RangeError);
  }
  const wrong = { theta: 0.1, orientation: "sideways", normalisation: "max" };
  for (const name of ["orientation", "normalisation"] as const) {
    const rule = { theta: 0.1, [name]: wrong[name] } as unknown as MaskRule;
    await assert.rejects(localityMask(spectrum, 1, rule), RangeError);
  }
});
