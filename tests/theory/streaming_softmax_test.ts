/** A3 and A4 of the specification at its size: 50,000 rows, streamed in chunks and in any order. */
import type { PointSet } from "@closedform/diffusion";
import type { PartialPosterior } from "@closedform/diffusion/compute";
import { RandomStream, startNoise } from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { mergePosteriors, referencePosterior } from "@closedform/diffusion/compute";
import assert from "node:assert/strict";
import { testDevices, testOnDevices } from "../_helpers/devices.ts";
import { assertClose } from "../_helpers/tolerance.ts";

const EPS64 = 2 ** -53;
const COUNT = 50_000, DIMENSION = 3;
const data = Float32Array.from(startNoise(60, 0, COUNT, DIMENSION));
const QUERY = [0.3, -0.5, 0.2];

/** The noise level at which the logits of the query have a given standard deviation. */
function sigmaOf(spread: number): number {
  const squares = Float64Array.from(
    { length: COUNT },
    (_, i) => QUERY.reduce((sum, v, c) => sum + (v - data[i * DIMENSION + c]) ** 2, 0),
  );
  const mean = squares.reduce((sum, v) => sum + v, 0) / COUNT;
  const deviation = Math.sqrt(squares.reduce((sum, v) => sum + (v - mean) ** 2, 0) / COUNT);
  return Math.sqrt(deviation / (2 * spread));
}

function parts(points: PointSet, chunk: number, sigma: number): PartialPosterior[] {
  return Array.from({ length: Math.ceil(COUNT / chunk) }, (_, j) => {
    const rows = points.data.slice(j * chunk * DIMENSION, (j + 1) * chunk * DIMENSION);
    return {
      ...referencePosterior({ data: rows, dimension: DIMENSION }, QUERY, sigma),
      firstRow: j * chunk,
    };
  });
}

/** Merges pairs of neighbours until one is left. */
function mergeTree(list: PartialPosterior[]): ReturnType<typeof mergePosteriors> {
  while (list.length > 1) {
    list = Array.from(
      { length: Math.ceil(list.length / 2) },
      (_, j) => mergePosteriors(list.slice(2 * j, 2 * j + 2)),
    );
  }
  return mergePosteriors(list);
}

Deno.test("streaming equals the one-shot softmax over 50,000 rows for any chunks and order", () => {
  const stream = new RandomStream({ seed: 61 });
  const order = Uint32Array.from({ length: COUNT }, (_, i) => i);
  for (let i = COUNT - 1; i > 0; i--) {
    const j = stream.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const shuffled = data.map((_, at) =>
    data[order[Math.floor(at / DIMENSION)] * DIMENSION + at % DIMENSION]
  );
  for (const spread of [0.01, 1, 30]) {
    const sigma = sigmaOf(spread);
    const whole = referencePosterior({ data, dimension: DIMENSION }, QUERY, sigma);
    for (
      const [rows, chunk] of [[data, 1], [data, 1024], [shuffled, 64], [shuffled, COUNT]] as const
    ) {
      const list = parts({ data: rows, dimension: DIMENSION }, chunk, sigma);
      for (const merged of [mergePosteriors(list), mergeTree(list)]) {
        // Sums of 50,000 numbers in another order; roundings of either sign add up as a root.
        const slack = 8 * Math.sqrt(COUNT) * EPS64;
        const what = `spread ${spread}, chunks of ${chunk}`;
        assertClose(merged.mean, whole.mean, 4 * slack, `mean, ${what}`);
        for (const name of ["effectiveSampleSize", "entropy", "logNormaliser"] as const) {
          const size = Math.max(1, Math.abs(whole.facts[name][0]));
          assertClose(merged.facts[name], whole.facts[name], slack * size, `${name}, ${what}`);
        }
      }
    }
  }
});

testOnDevices(
  await testDevices(),
  "posterior() over 50,000 rows keeps the effective numbers whatever the spread of the logits",
  async (device) => {
    const store = await device.store({ data, dimension: DIMENSION });
    const x = tensorSpace.from(QUERY, [1, DIMENSION]);
    const query = Float32Array.from(QUERY);
    for (const spread of [0.01, 1, 30]) {
      const sigma = sigmaOf(spread);
      const expected = referencePosterior({ data, dimension: DIMENSION }, query, sigma);
      const { mean, facts } = await store.posterior(x, sigma);
      // The tolerances of A3: 1e-6 for the mean, 2e-5 for effective numbers.
      assertClose(await tensorSpace.values(mean), expected.mean, 1e-6, `mean at spread ${spread}`);
      const numbers = ({ facts: f }: { facts: typeof facts }) => [
        f.effectiveSampleSize[0],
        Math.exp(f.entropy[0]),
      ];
      numbers({ facts }).forEach((v, i) => {
        const wanted = numbers(expected)[i];
        assert.ok(Math.abs(v / wanted - 1) <= 2e-5, `${v} ${wanted} at spread ${spread}`);
      });
      mean.dispose();
    }
    x.dispose();
    store.dispose();
  },
);
