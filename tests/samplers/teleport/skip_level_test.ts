import { Dataset, dataSpectrum, gaussianLeg } from "@closedform/diffusion";
import {
  cumulantNorms,
  gaussianOfMixture,
  skipEstimate,
  skipLevel,
} from "@closedform/diffusion/theory";
import { mixtureFlow } from "@closedform/diffusion/theory";
import type { MixtureLaw } from "@closedform/diffusion";
import type { CumulantNorms } from "@closedform/diffusion/theory";
import assert from "node:assert/strict";
import { meanOfMixture } from "../../../src/denoisers/gaussian/mixture_law.ts";
import {
  fourthCumulants,
  frobenius,
  thirdCumulants,
} from "../../../src/theory/_mixture_cumulants.ts";
import { symmetrised, THREE_MODES } from "../../../src/theory/_toy_mixtures.ts";

function normsOf(law: MixtureLaw): CumulantNorms {
  const { variances } = gaussianOfMixture(law);
  return {
    covariance: Math.hypot(...variances),
    third: frobenius(thirdCumulants(law)),
    fourth: frobenius(fourthCumulants(law)),
    variance: variances[0],
    rows: Infinity,
  };
}

const NORMS = normsOf(THREE_MODES);

Deno.test("the three modes have the cumulants they are known for", () => {
  const { variances } = gaussianOfMixture(THREE_MODES);
  for (
    const [ours, known] of [
      [NORMS.third, 0.581395],
      [NORMS.covariance, 1.007233],
      [variances[0], 0.90054],
      [variances[1], 0.45116],
    ]
  ) assert.ok(Math.abs(ours - known) < 1e-5, `${ours}, known ${known}`);
  assert.ok(normsOf(symmetrised(THREE_MODES)).third < 1e-15);
});

Deno.test("skipLevel() of the three modes is 3.7018 for a tolerance of 0.01", () => {
  assert.equal(skipLevel(NORMS, 0.01).toFixed(4), "3.7018");
  const { displacement } = skipEstimate(NORMS, skipLevel(NORMS, 0.01));
  assert.ok(Math.abs(displacement - 0.01) < 1e-15);
});

Deno.test("skipLevel() is not blind to data without third cumulants, nor below their spread", () => {
  const norms = normsOf(symmetrised(THREE_MODES));
  const level = skipLevel(norms, 1e-4);
  assert.ok(Math.abs(skipEstimate(norms, level).fourth - 1e-4) < 1e-15);
  assert.equal(skipLevel(norms, 100), Math.sqrt(norms.variance));
});

Deno.test("skipEstimate() from a level is what the way from there adds to the displacement", () => {
  // A cumulant of order n moves the score by (that) σ⁻ⁿ⁻¹, and the flow shrinks what it moves by σ over the level.
  const added = (order: number, sigma: number, start: number) => {
    let sum = 0;
    const steps = 2000, fold = Math.log(start / sigma) / steps;
    for (let i = 0; i < steps; i++) {
      const level = sigma * Math.exp((i + 0.5) * fold);
      sum += sigma * level ** -(order + 1) * level * fold;
    }
    return sum;
  };
  const norms = { ...NORMS, third: 0.7, fourth: 1.3 };
  for (const [sigma, start] of [[1, 1.2], [0.8, 2], [3, 30]]) {
    const { third, fourth, displacement } = skipEstimate(norms, sigma, start);
    const wanted = [
      norms.third / Math.SQRT2 * added(3, sigma, start),
      norms.fourth / Math.sqrt(6) * added(4, sigma, start),
    ];
    // The midpoint rule is off by (order · fold)²/24 relative.
    for (const [i, estimate] of [third, fourth].entries()) {
      assert.ok(Math.abs(estimate / wanted[i] - 1) < 1e-5, `${estimate} against ${wanted[i]}`);
    }
    assert.equal(displacement, Math.max(third, fourth));
  }
});

/** Root mean square of the distances between where the Gaussian and the law lead from around their mean. */
async function measuredDisplacement(law: MixtureLaw, sigma: number): Promise<number> {
  const mean = meanOfMixture(law), flow = mixtureFlow(law);
  const starts = [0.5, 1, 1.5, 2].flatMap((radius) =>
    Array.from({ length: 8 }, (_, j) => {
      const angle = 0.1 + j * Math.PI / 4;
      return [mean[0] + 1000 * radius * Math.cos(angle), mean[1] + 1000 * radius * Math.sin(angle)];
    }).flat()
  );
  const x = Float64Array.from(starts);
  using leg = gaussianLeg(gaussianOfMixture(law));
  const [{ x: ours }] = await leg.follow(x, [1000, sigma]);
  const exact = await flow.transport(x, 1000, sigma);
  const square = ours.reduce((sum, v, i) => sum + (v - exact[i]) ** 2, 0);
  return Math.sqrt(square / (x.length / 2));
}

Deno.test("skipEstimate() is the displacement at large noise, with and without third cumulants", async () => {
  // The starts are no Gaussian sample: E over them of the squared polynomials is another constant, the same
  // at all levels. So the law is tested by ratios between levels; the constants are in the theory.
  for (
    const [law, power] of [[THREE_MODES, "third"], [symmetrised(THREE_MODES), "fourth"]] as const
  ) {
    const norms = normsOf(law);
    const [a, b] = await Promise.all([10, 20].map((s) => measuredDisplacement(law, s)));
    const [c, d] = [10, 20].map((s) => skipEstimate(norms, s, 1000)[power]);
    assert.ok(Math.abs(a / b / (c / d) - 1) < 0.01, `${power}: ${a / b}, law ${c / d}`);
  }
});

Deno.test("skipEstimate() of fourth cumulants has the right size: a law on two points", async () => {
  // N = ±1: κ₄ = −2, and D = tanh(x/σ²) against x/(1+σ²), difference −x³/3σ⁶ to leading order; with
  // x = σz its root mean square is √15/3σ³ before the part of He₁ is taken out, ‖κ₄‖/√6σ³ after it.
  const set = new Dataset({ data: Float32Array.of(-1, 1), shape: [1], name: "two points" });
  const norms = await cumulantNorms(set, await dataSpectrum(set));
  assert.ok(Math.abs(norms.fourth - 2) < 1e-12 && norms.third < 1e-12);
  const sigma = 30;
  let square = 0;
  const n = 4001;
  for (let i = 0; i < n; i++) {
    // The trapezoid rule over a Gaussian is exact to rounding.
    const z = -10 + 20 * i / (n - 1), weight = Math.exp(-z * z / 2) * 20 / (n - 1);
    const x = Math.hypot(1, sigma) * z;
    square += weight * (Math.tanh(x / sigma ** 2) - x / (1 + sigma ** 2)) ** 2;
  }
  const rms = Math.sqrt(square / Math.sqrt(2 * Math.PI));
  const law = norms.fourth / (Math.sqrt(6) * sigma ** 3);
  // The next order is smaller by 1/σ², a few thousandths.
  assert.ok(Math.abs(rms / law - 1) < 0.02, `${rms}, law ${law}`);
});

Deno.test("skipLevel() and skipEstimate() refuse what is no level and no tolerance", () => {
  for (const bad of [0, -1, NaN, Infinity]) {
    assert.throws(() => skipLevel(NORMS, bad), RangeError);
  }
  assert.throws(() => skipEstimate(NORMS, 0), RangeError);
  assert.throws(() => skipEstimate(NORMS, 1, 0), RangeError);
  assert.equal(skipEstimate(NORMS, 80, 80).displacement, 0);
});
