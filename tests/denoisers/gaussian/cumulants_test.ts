import {
  Dataset,
  dataSpectrum,
  gaussianLaw,
  lowRank,
  mixtureLaw,
  moons,
  startNoise,
} from "@closedform/diffusion";
import { cumulantNorms } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { leadingCumulants } from "../../../src/denoisers/gaussian/_leading_cumulants.ts";
import {
  fourthCumulants,
  frobenius,
  thirdCumulants,
} from "../../../src/theory/_mixture_cumulants.ts";
import { dataPath, hasData } from "../../_helpers/data.ts";
import { loadDataset } from "@closedform/diffusion";

/** Skewed numbers: exponentials of normal ones, mixed. */
function skewed(count: number, dimension: number, seed: number): Dataset {
  const noise = startNoise(seed, 0, count, dimension);
  const data = Float32Array.from(noise, (v, i) => {
    const next = noise[i - i % dimension + (i + 1) % dimension];
    return (Math.exp(v / 2) + 0.5 * v * next) / (1 + i % dimension);
  });
  return new Dataset({ data, shape: [dimension], name: "skewed" });
}

/** The law of a data set as a mixture of points. */
function asMixture(set: Dataset) {
  const points = Array.from({ length: set.count }, (_, i) => gaussianLaw(set.values(i), 0));
  return mixtureLaw(points.map(() => 1), points);
}

Deno.test("cumulantNorms() of all items are the norms of the explicit tensors", async () => {
  for (const dimension of [1, 2, 3]) {
    const set = skewed(40, dimension, 41);
    const norms = await cumulantNorms(set, await dataSpectrum(set));
    const law = asMixture(set);
    for (
      const [name, ours, tensor] of [
        ["third", norms.third, thirdCumulants(law)],
        ["fourth", norms.fourth, fourthCumulants(law)],
      ] as const
    ) {
      const theirs = frobenius(tensor);
      assert.ok(Math.abs(ours - theirs) < 1e-12 * theirs, `${name}: ${ours}, explicit ${theirs}`);
    }
    assert.equal(norms.rows, 40);
  }
});

Deno.test("leadingCumulants() of all directions are those norms too", async () => {
  const set = skewed(40, 3, 41), mean = set.mean();
  const rows = Float64Array.from(set.data, (v, i) => v - mean[i % 3]);
  const { third, fourth } = leadingCumulants(rows, 3);
  const norms = await cumulantNorms(set, await dataSpectrum(set));
  assert.ok(Math.abs(Math.sqrt(third) / norms.third - 1) < 1e-12);
  assert.ok(Math.abs(Math.sqrt(fourth) / norms.fourth - 1) < 1e-12);
});

Deno.test("cumulantNorms() of a part of the items estimate those of all", async () => {
  // More dimensions than are looked at exactly, of which the later ones weigh little.
  const set = skewed(3000, 20, 42), spectrum = await dataSpectrum(set);
  const exact = await cumulantNorms(set, spectrum, { rows: 3000 });
  for (const seed of [0, 1, 2]) {
    const { third, fourth, rows } = await cumulantNorms(set, spectrum, { rows: 300, seed });
    assert.equal(rows, 300);
    assert.ok(Math.abs(third / exact.third - 1) < 0.02, `third: ${third} of ${exact.third}`);
    assert.ok(Math.abs(fourth / exact.fourth - 1) < 0.02, `fourth: ${fourth} of ${exact.fourth}`);
  }
});

Deno.test("cumulantNorms() of symmetric points: no third, but a fourth", async () => {
  const half = moons(200), mean = half.mean();
  const centred = half.data.map((v, i) => v - mean[i % 2]);
  const data = Float32Array.of(...centred, ...centred.map((v) => -v));
  const set = new Dataset({ data, shape: [2], name: "symmetric" });
  const { third, fourth } = await cumulantNorms(set, await dataSpectrum(set));
  // The mean of float32 numbers and their negatives is 0 exactly; ⟨g³⟩ then cancels to rounding.
  assert.ok(third < 1e-6 && fourth > 0.01, `third ${third}, fourth ${fourth}`);
});

Deno.test({
  name: "cumulantNorms() of handwritten digits do not depend on the choice of items",
  ignore: !hasData("mnist"),
  fn: async () => {
    const set = (await loadDataset(`mnist:${dataPath("mnist")}`)).take(6000);
    const spectrum = await dataSpectrum(set, { cache: false });
    const [a, b] = await Promise.all(
      [0, 1].map((seed) => cumulantNorms(set, spectrum, { rows: 600, seed })),
    );
    // The first twelve directions hold three quarters of ‖κ₃‖; pairs of 600 items find the rest to a few percent.
    assert.ok(Math.abs(a.third / b.third - 1) < 0.06, `${a.third} and ${b.third}`);
    assert.ok(Math.abs(a.fourth / b.fourth - 1) < 0.15, `${a.fourth} and ${b.fourth}`);
    assert.ok(a.third > 200 && a.third < 260, `${a.third}`);
  },
});

Deno.test("cumulantNorms() refuses what does not fit", async () => {
  const set = moons(50), spectrum = await dataSpectrum(set);
  const other = await dataSpectrum(skewed(10, 3, 1));
  await assert.rejects(cumulantNorms(set, other), TypeError);
  for (const rows of [1, 51, 2.5]) {
    await assert.rejects(cumulantNorms(set, spectrum, { rows }), RangeError);
  }
  const part = await cumulantNorms(set, lowRank(spectrum, 1), { rows: 50 });
  assert.ok(part.third > 0);
});

Deno.test("cumulantNorms() are moments of one divisor, N", async () => {
  // −1, −1, 2: mean square 2, mean cube 2, and 6 − 3·2² of the fourth.
  const set = new Dataset({ data: Float32Array.of(-1, -1, 2), shape: [1], name: "three points" });
  const norms = await cumulantNorms(set, await dataSpectrum(set));
  for (
    const [name, wanted] of [["covariance", 2], ["variance", 2], ["third", 2], [
      "fourth",
      6,
    ]] as const
  ) {
    assert.ok(Math.abs(norms[name] - wanted) < 1e-14, `${name}: ${norms[name]}`);
  }
});

Deno.test("cumulantNorms() follow the unit of the data, however small or large", async () => {
  const set = skewed(60, 14, 43), spectrum = await dataSpectrum(set);
  for (const rows of [60, 30]) {
    const plain = await cumulantNorms(set, spectrum, { rows });
    for (const factor of [2 ** -100, 2 ** 100]) {
      const data = Float32Array.from(set.data, (v) => v * factor);
      const scaled = new Dataset({ data, shape: [14], name: "scaled" });
      const norms = await cumulantNorms(scaled, await dataSpectrum(scaled), { rows });
      for (
        const [name, power] of [["covariance", 2], ["variance", 2], ["third", 3], [
          "fourth",
          4,
        ]] as const
      ) {
        const wanted = plain[name] * factor ** power;
        assert.ok(Math.abs(norms[name] / wanted - 1) < 1e-12, `${name}: ${norms[name]}, ${wanted}`);
      }
    }
  }
});
