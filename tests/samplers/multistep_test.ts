import type { MultistepOptions, MultistepSampler, Sampler } from "@closedform/diffusion";
import {
  ddim,
  ddpmGrid,
  dpmpp1,
  dpmpp2m,
  dpmpp3m,
  euler,
  exponentialAdams,
  heun,
  karrasGrid,
  logSnrGrid,
  multistep,
  unipc,
} from "@closedform/diffusion";
import assert from "node:assert/strict";
import {
  distance,
  endOf,
  exactEnd,
  exactHistory,
  GAUSSIAN,
  MIXTURE,
  POINT,
  stepsOf,
  uniformLevels,
} from "../_helpers/toys.ts";
import { assertClose } from "../_helpers/tolerance.ts";

type Make = (options?: MultistepOptions) => Sampler;
/** The formulas alone: no lower order at either end. */
const PURE = { lowerOrderFinal: false, correctLast: true };

/** Published errors: G at 32 and 128 steps, slope; M likewise; with the default ends, G and M at 128. */
const TABLE: [string, Make, number[]][] = [
  ["ddim", ddim, [2.471e-2, 6.212e-3, 1.00, 9.030e-3, 2.259e-3, 1.00, 6.212e-3, 2.259e-3]],
  ["heun", heun, [8.357e-4, 5.171e-5, 2.00, 4.187e-4, 2.573e-5, 2.01, 5.171e-5, 2.573e-5]],
  ["2M", dpmpp2m, [6.029e-4, 3.874e-5, 1.99, 5.573e-4, 3.717e-5, 1.97, 2.31e-5, 5.43e-5]],
  ["2M Taylor", (o) => exponentialAdams(2, o), [
    9.147e-4,
    5.761e-5,
    2.00,
    5.934e-4,
    3.899e-5,
    1.98,
    1.95e-5,
    5.62e-5,
  ]],
  ["3M", dpmpp3m, [2.128e-4, 1.192e-5, 2.05, 1.734e-4, 8.558e-6, 2.12, 3.74e-5, 3.13e-5]],
  ["3M Taylor", (o) => dpmpp3m({ ...o, form: "taylor" }), [
    3.633e-5,
    4.829e-7,
    3.08,
    6.685e-5,
    9.366e-7,
    3.06,
    4.88e-5,
    3.02e-5,
  ]],
  ["UniPC-1 B1", (o) => unipc({ ...o, order: 1, b: "B1" }), [
    5.723e-4,
    3.492e-5,
    2.01,
    1.251e-4,
    9.142e-6,
    1.93,
    NaN,
    NaN,
  ]],
  ["UniPC-1 B2", (o) => unipc({ ...o, order: 1 }), [
    1.442e-3,
    9.051e-5,
    2.00,
    3.667e-4,
    2.394e-5,
    1.98,
    1.06e-4,
    5.29e-5,
  ]],
  ["UniPC-2 B1", (o) => unipc({ ...o, order: 2, b: "B1" }), [
    7.386e-5,
    1.146e-6,
    3.00,
    3.351e-5,
    5.522e-7,
    2.98,
    1.98e-5,
    2.93e-5,
  ]],
  ["UniPC-2 B2", (o) => unipc({ ...o, order: 2 }), [
    3.661e-5,
    5.930e-7,
    2.98,
    3.855e-5,
    6.667e-7,
    2.95,
    2.00e-5,
    2.95e-5,
  ]],
  ["UniPC-3 B1", (o) => unipc({ ...o, b: "B1" }), [
    1.116e-6,
    3.751e-9,
    4.08,
    3.615e-6,
    1.236e-8,
    4.08,
    2.00e-5,
    2.91e-5,
  ]],
  ["UniPC-3 B2", unipc, [1.116e-6, 3.751e-9, 4.08, 3.615e-6, 1.236e-8, 4.08, 2.01e-5, 2.92e-5]],
];

Deno.test("multistep samplers and heun() reproduce the published table of errors within one percent", async () => {
  for (const [name, make, expected] of TABLE) {
    const measured: number[] = [];
    const withDefaults: number[] = [];
    for (const toy of [GAUSSIAN, MIXTURE]) {
      const exact = await exactEnd(toy);
      const error = async (
        steps: number,
        sampler: Sampler,
        history: Awaited<ReturnType<typeof exactHistory>>,
      ) =>
        distance(
          exact,
          await endOf(sampler, toy.flow.denoiser, toy.start, uniformLevels(steps), { history }),
        );
      const [a, b, c] = await Promise.all(
        [32, 64, 128].map(async (n) => error(n, make(PURE), await exactHistory(toy, n))),
      );
      measured.push(a, c, Math.log2(b / c));
      withDefaults.push(await error(128, make(), []));
    }
    [...measured, ...withDefaults].forEach((value, k) => {
      if (Number.isNaN(expected[k])) return;
      // Slopes are printed to two decimals; errors to three or four digits.
      const tolerance = k === 2 || k === 5 ? 0.0101 : 0.01 * expected[k];
      assertClose([value], [expected[k]], tolerance, `${name}, column ${k}`);
    });
  }
});

Deno.test("samplers reproduce the published reference runs on the Karras grid", async () => {
  const runs: [Sampler, number[], number[]][] = [
    [ddim(), [0.74121950, -0.14053840], [7.610e-2, 2.278e-1, 1.154e-1]],
    [heun(), [0.98824653, -0.17557576], [1.616e-2, 1.422e-1, 2.878e-2]],
    [dpmpp2m(), [0.99359301, -0.21540123], [2.933e-2, 1.488e-1, 3.225e-2]],
    [exponentialAdams(2), [1.10862780, -0.24776046], [3.062e-2, 3.081e-1, 5.051e-2]],
    [dpmpp3m(), [1.09031699, -0.15946844], [2.957e-2, 2.188e-1, 6.256e-3]],
    [dpmpp3m({ form: "taylor" }), [1.10545176, -0.12957166], [4.229e-2, 2.529e-1, 2.125e-2]],
    [unipc({ order: 2, b: "B1" }), [1.62585679, -0.37099207], [2.861e-2, 9.943e-1, 4.146e-2]],
    [unipc({ order: 2 }), [1.00485428, -0.21262352], [2.205e-2, 1.602e-1, 1.848e-2]],
    [unipc({ b: "B1" }), [1.13105714, -0.05282781], [2.256e-2, 3.467e-1, 1.703e-2]],
    [unipc(), [1.07852768, -0.10481345], [2.582e-2, 2.418e-1, 1.651e-2]],
  ];
  const starts = [Float64Array.of(48, -64), Float64Array.of(40.5, -40.5, 80.25, -80)];
  const [exactM, exactG] = await Promise.all(
    [MIXTURE, GAUSSIAN].map(({ flow }, k) => flow.transport(starts[k], 80, 0)),
  );
  for (const [sampler, end, [m20, g10, g20]] of runs) {
    const run = (toy: typeof MIXTURE, n: number) =>
      endOf(sampler, toy.flow.denoiser, starts[toy === MIXTURE ? 0 : 1], karrasGrid(n).sigmas);
    assertClose(await run(MIXTURE, 10), end, 1e-8, `${sampler.name}, M, 10 steps`);
    const errors = [
      [distance(await run(MIXTURE, 20), exactM), m20],
      [distance(await run(GAUSSIAN, 10), exactG), g10],
      [distance(await run(GAUSSIAN, 20), exactG), g20],
    ];
    for (const [error, expected] of errors) {
      assertClose([error], [expected], 1e-3 * expected, sampler.name);
    }
  }
});

Deno.test("ddim() reproduces the published run on the DDPM grid", async () => {
  const { sigmas, startScale } = ddpmGrid(10);
  const start = Float64Array.of(0.6 * startScale, -0.8 * startScale);
  assertClose(
    await endOf(ddim(), MIXTURE.flow.denoiser, start, sigmas),
    [0.78559318, -0.11216324],
    1e-8,
    "Euler",
  );
  assertClose(
    await MIXTURE.flow.transport(start, sigmas[0], 0),
    [0.88810118, -0.10160194],
    1e-8,
    "exact flow",
  );
});

/** Largest difference of the states of two samplers on all the way, on both toys and two grids. */
async function apart(a: Sampler, b: Sampler, withHistory: boolean): Promise<number> {
  let most = 0;
  for (const toy of [GAUSSIAN, MIXTURE]) {
    // Levels of unequal ratio, and equal ones.
    for (
      const sigmas of [uniformLevels(12), [5, 4.2, 3, 2.5, 1.4, 1, 0.9, 0.5], [5, 3, 1, 0.2, 0]]
    ) {
      const history = withHistory ? await exactHistory(toy, 9) : [];
      const [x, y] = await Promise.all(
        [a, b].map((sampler) =>
          stepsOf(sampler, toy.flow.denoiser, toy.start, sigmas, { history })
        ),
      );
      x.forEach((step, i) => most = Math.max(most, distance(step.x, y[i].x)));
    }
  }
  return most;
}

Deno.test("equal methods under different names are equal to rounding", async () => {
  const pairs: [string, Sampler, Sampler, boolean][] = [
    ["Euler = DDIM", euler(), ddim(), false],
    ["DPM-Solver++(1) = DDIM", dpmpp1(), ddim(), false],
    ["exponential AB-1 = DDIM", exponentialAdams(1), ddim(), false],
    ["UniP-1 = DDIM", unipc({ order: 1, corrector: false }), ddim(), false],
    ["UniP-2 B2 = 2M", unipc({ order: 2, corrector: false }), dpmpp2m(), false],
    [
      "UniP-3 = 3M Taylor",
      unipc({ ...PURE, corrector: false, b: "B1" }),
      dpmpp3m({ ...PURE, form: "taylor" }),
      true,
    ],
    [
      "3M Taylor = exponential AB-3",
      dpmpp3m({ ...PURE, form: "taylor" }),
      exponentialAdams(3, PURE),
      true,
    ],
    ["UniPC-3 B1 = B2", unipc({ ...PURE, b: "B1" }), unipc(PURE), true],
    [
      "UniP-3 B2 = 3M Taylor, default ends",
      unipc({ corrector: false }),
      dpmpp3m({ form: "taylor" }),
      false,
    ],
  ];
  for (const [name, a, b, history] of pairs) {
    const difference = await apart(a, b, history);
    assert.ok(difference < 1e-12, `${name}: apart by ${difference}`);
  }
  // What must differ, so that the comparison can fail.
  assert.ok(await apart(dpmpp3m(PURE), exponentialAdams(3, PURE), true) > 1e-4);
  assert.ok(await apart(unipc({ b: "B1" }), unipc(), false) > 1e-4);
});

/** One UniPC step by the published recipe: systems in `gⱼ`, literally. */
Deno.test("unipc() takes the published systems, solved literally", async () => {
  const sigmas = [5, 3.5, 2.2, 1.5];
  const history = await exactHistory(MIXTURE, 11);
  const { denoiser } = MIXTURE.flow;
  const D = [
    history[1].denoised,
    history[0].denoised,
    (await denoiser.denoise(MIXTURE.start, 5)).mean,
  ];
  const levels = [history[1].sigma, history[0].sigma, 5];
  const h = Math.log(5 / 3.5), B = -h;
  const r = [1, 0].map((j) => Math.log(5 / levels[j]) / h);
  const a1 = Math.expm1(-h) / -h - 1, a2 = a1 / -h - 1 / 2, a3 = a2 / -h - 1 / 6;
  const b = [a1 / B, 2 * a2 / B, 6 * a3 / B];
  const E = [1, 0].map((j, k) => D[2].map((v, c) => (D[j][c] - v) / r[k]));
  // The leading 2×2 system of the predictor by Cramer's rule.
  const determinant = r[1] - r[0];
  const g = [(b[0] * r[1] - b[1]) / determinant, (b[1] - r[0] * b[0]) / determinant];
  const rho = 3.5 / 5;
  const predicted = MIXTURE.start.map((x, c) =>
    rho * x + (1 - rho) * D[2][c] - B * (g[0] * E[0][c] + g[1] * E[1][c])
  );
  const predictor = unipc({ lowerOrderFinal: false, corrector: false });
  const [first] = await stepsOf(predictor, denoiser, MIXTURE.start, sigmas, { history });
  assert.ok(distance(first.x, predicted) < 1e-13);
  // The full 3×3 system of the corrector, by elimination on paper: rows 1, r, r².
  const next = (await denoiser.denoise(predicted, 3.5)).mean;
  const [p, q] = r;
  const g3 = (b[2] - (p + q) * b[1] + p * q * b[0]) / ((1 - p) * (1 - q));
  const g2 = (b[1] - p * b[0] - (1 - p) * g3) / (q - p);
  const g1 = b[0] - g2 - g3;
  const corrected = MIXTURE.start.map((x, c) =>
    rho * x + (1 - rho) * D[2][c] - B * (g1 * E[0][c] + g2 * E[1][c] + g3 * (next[c] - D[2][c]))
  );
  const [step] = await stepsOf(unipc({ lowerOrderFinal: false }), denoiser, MIXTURE.start, sigmas, {
    history,
  });
  assert.ok(distance(step.x, corrected) < 1e-13);
  assert.ok(distance(step.denoised, next) < 1e-13);
});

Deno.test("multistep samplers and heun() follow a single point exactly, on every grid", async () => {
  const samplers = [
    ddim(),
    heun(),
    ...TABLE.slice(2).map(([, make]) => make()),
    exponentialAdams(4),
  ];
  for (const sampler of samplers) {
    for (const { sigmas } of [ddpmGrid(10), karrasGrid(7), logSnrGrid(9)]) {
      const start = Float64Array.of(40, -9);
      for (const { sigma, x } of await stepsOf(sampler, POINT.flow.denoiser, start, sigmas)) {
        const exact = await POINT.flow.transport(start, sigmas[0], sigma);
        assert.ok(distance(x, exact) < 1e-12, `${sampler.name} at ${sigma}: ${distance(x, exact)}`);
      }
    }
  }
});

Deno.test("multistep samplers take known outputs for a history, and do not release them", async () => {
  const history = await exactHistory(MIXTURE, 10);
  const { denoiser } = MIXTURE.flow;
  const released: Float64Array[] = [];
  const space = {
    ...denoiser.space,
    dispose: (...states: Float64Array[]) => void released.push(...states),
  };
  const sampler = exponentialAdams(3);
  const steps: Float64Array[] = [];
  for await (
    const { x } of sampler.run({ ...denoiser, space }, MIXTURE.start, uniformLevels(10), {
      history,
    })
  ) {
    steps.push(x.slice());
  }
  for (const { denoised } of history) assert.ok(!released.includes(denoised));
  assert.ok(!released.includes(MIXTURE.start));
  const exact = await MIXTURE.flow.transport(MIXTURE.start, 5, uniformLevels(10)[1]);
  const cold = (await stepsOf(sampler, denoiser, MIXTURE.start, uniformLevels(10)))[0].x;
  assert.ok(
    distance(steps[0], exact) < distance(cold, exact) / 10,
    "the first step has full order",
  );
});

Deno.test("multistep samplers refuse a history that does not come before, and impossible orders", async () => {
  const bad = [{ sigma: 4, denoised: Float64Array.of(0, 0) }];
  const run = endOf(dpmpp2m(), MIXTURE.flow.denoiser, MIXTURE.start, uniformLevels(4), {
    history: bad,
  });
  await assert.rejects(run, RangeError);
  for (const order of [0, 5, 1.5]) assert.throws(() => exponentialAdams(order), RangeError);
  for (const order of [0, 4, 1.5]) assert.throws(() => unipc({ order }), RangeError);
});

Deno.test("multistep() hands its formula the nodes of the grid", async () => {
  const seen: (readonly number[])[] = [];
  const spy: MultistepSampler = multistep(
    { name: "spy", order: 1, outputs: 3, references: [] },
    { predict: (h, nodes) => (seen.push([h, ...nodes]), [-Math.expm1(-h), ...nodes.map(() => 0)]) },
  );
  await stepsOf(spy, POINT.flow.denoiser, POINT.start, [8, 4, 2, 1, 0.5]);
  const h = Math.log(2);
  // At most as many outputs as steps remain.
  assert.deepEqual(seen, [[h], [h, -1], [h, -1], [h]]);
});
