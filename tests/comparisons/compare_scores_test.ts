import {
  compareScores,
  fitMixture,
  gaussianLaw,
  mixture,
  moons,
  openDevice,
  optimal,
  tinyShapes,
  wiener,
} from "@closedform/diffusion";
import assert from "node:assert/strict";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { gaussianFloat64, mixtureOfFloat64, optimalFloat64 } from "../_helpers/float64.ts";

const set = tinyShapes(250);
const truth = optimalFloat64(set);
const SIGMAS = [0.5, 2, 10];

Deno.test("compareScores() has a row per level and approximation; itself explains all, a mixture more than a Gaussian", async () => {
  const laws = await Promise.all(
    [1, 12].map((components) => fitMixture(set, { components, rank: 12, ridge: 1e-3 })),
  );
  const [gaussian, twelve] = laws.map((law) => mixtureOfFloat64(law, { shape: set.shape }));
  const point = gaussianFloat64(gaussianLaw(set.mean(), 0), { shape: set.shape });
  const rows = await compareScores(truth, { point, gaussian, twelve, truth }, {
    train: set,
    sigmas: SIGMAS,
    count: 48,
  });
  assert.deepEqual(
    rows.map(({ sigma, approximation }) => `${approximation} ${sigma}`),
    SIGMAS.flatMap((s) => ["point", "gaussian", "twelve", "truth"].map((name) => `${name} ${s}`)),
  );
  for (let at = 0; at < rows.length; at += 4) {
    for (const kind of ["score", "centred"] as const) {
      const shares = rows.slice(at, at + 4).map(({ explained }) => explained[kind].ratioOfMeans);
      assert.ok(shares[0] < shares[1] && shares[1] < shares[2], `${kind}: ${shares}`);
      assert.equal(shares[3], 1);
    }
  }
  // Even a point explains nearly all of a score at high noise; nothing of it about the mean.
  assert.ok(rows[8].explained.score.meanOfRatios > 0.99);
  assert.equal(rows[8].explained.centred.meanOfRatios, 0);
});

Deno.test("compareScores() looks at the same noisy items at all levels, which depend on the seed", async () => {
  const gaussian = gaussianFloat64((await fitMixture(set, { components: 1 })).components[0], {
    shape: set.shape,
  });
  const residuals = async (sigmas: number[], seed?: number, count = 16) => {
    const rows = await compareScores(truth, { gaussian }, { train: set, sigmas, seed, count });
    return [...rows.at(-1)!.explained.score.residuals];
  };
  assert.deepEqual(await residuals([1, 3]), await residuals([3]));
  assert.deepEqual((await residuals([3])).slice(0, 5), await residuals([3], 0, 5));
  assert.notDeepEqual(await residuals([3]), await residuals([3], 1));
});

Deno.test("compareScores() of tensors is that of numbers, and leaks nothing", async () => {
  using device = await openDevice("wasm");
  using exact = await optimal(set, { device });
  using fitted = await mixture(set, { device, components: 5, rank: 10 });
  using linear = await wiener(set, { device });
  const options = { sigmas: SIGMAS, count: 32 };
  await withoutLeaks(async () => {
    const ours = await compareScores(exact, { fitted, linear }, { train: set, ...options });
    const law = await fitMixture(set, { components: 5, rank: 10 });
    const theirs = await compareScores(
      truth,
      { fitted: mixtureOfFloat64(law, { shape: set.shape }) },
      { train: set, ...options },
    );
    for (const row of theirs) {
      const same = ours.find(({ sigma, approximation }) =>
        sigma === row.sigma && approximation === "fitted"
      )!;
      // Weights of components are known to 1e-3 nats, of residuals of a tenth and more.
      const [a, b] = [same.explained.centred, row.explained.centred];
      assert.ok(
        Math.abs(a.ratioOfMeans - b.ratioOfMeans) < 5e-3,
        `${a.ratioOfMeans}, ${b.ratioOfMeans}`,
      );
    }
  });
});

Deno.test("compareScores() refuses counts, levels and shapes that are none, and can be stopped", async () => {
  const other = { point: gaussianFloat64(gaussianLaw(set.mean(), 0), { shape: set.shape }) };
  for (const count of [0, 1.5]) {
    await assert.rejects(compareScores(truth, other, { train: set, count }), RangeError);
  }
  await assert.rejects(compareScores(truth, other, { train: set, sigmas: [0] }), RangeError);
  await assert.rejects(
    compareScores(truth, { moons: optimalFloat64(moons(5)) }, { train: set }),
    TypeError,
  );
  const reason = new TypeError("enough"), signal = AbortSignal.abort(reason);
  await assert.rejects(compareScores(truth, other, { train: set, signal }), reason);
  const [row] = await compareScores(truth, other, { train: set, sigmas: [1], count: 2 });
  assert.ok(row.explained.score.residuals.length === 2);
});
