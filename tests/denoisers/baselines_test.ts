import assert from "node:assert/strict";
import { openDevice } from "../../src/compute/open_device.ts";
import { Dataset } from "../../src/datasets/dataset.ts";
import {
  dirichletAverage,
  kernelDensity,
  localAverage,
  randomAverage,
} from "../../src/denoisers/baselines.ts";
import type { Denoiser } from "../../src/denoisers/denoiser.ts";

import { gaussianLaw } from "../../src/denoisers/gaussian/gaussian_law.ts";
import { optimal } from "../../src/denoisers/optimal.ts";
import { arraySpace, tensorSpace } from "../../src/states/linear_space.ts";
import { wasserstein2 } from "../../src/metrics/wasserstein.ts";
import { ddpmGrid, karrasGrid, uniformTGrid } from "../../src/base/noise.ts";
import { startNoise } from "../../src/base/random.ts";
import { dpmpp2m } from "../../src/samplers/dpmpp_2m.ts";
import { heun } from "../../src/samplers/heun.ts";
import { sample } from "../../src/samplers/sample.ts";
import { withoutLeaks } from "../_helpers/leaks.ts";
import { gaussianFloat64, optimalFloat64 } from "../_helpers/float64.ts";

/** Equispaced points of the unit circle. */
function ring(n: number): Float64Array {
  return Float64Array.from(
    { length: 2 * n },
    (_, at) => (at % 2 ? Math.sin : Math.cos)(2 * Math.PI * Math.floor(at / 2) / n),
  );
}

const sixteen = new Dataset({ data: Float32Array.from(ring(16)), shape: [2], name: "ring" });

async function draw(denoiser: Denoiser<Float64Array>, count: number): Promise<Float64Array> {
  const { x } = await sample(denoiser, {
    count,
    grid: uniformTGrid(200),
    batchSize: count,
    seed: 1,
    output: "tensor",
  });
  return x;
}

// W2 to 800 equispaced points, 800 samples, five seeds; the spread from seed to seed is at most .022.
const CIRCLE: [
  string,
  number,
  (seed: number) => Denoiser<Float64Array> | Promise<Denoiser<Float64Array>>,
][] = [
  ["mean of 2", .485, (seed) => randomAverage(sixteen, { device: "float64", draws: 2, seed })],
  ["mean of 4", .591, (seed) => randomAverage(sixteen, { device: "float64", draws: 4, seed })],
  [
    "Dirichlet .02",
    .264,
    (seed) => dirichletAverage(sixteen, { device: "float64", concentration: .02, seed }),
  ],
  [
    "Dirichlet .1",
    .487,
    (seed) => dirichletAverage(sixteen, { device: "float64", concentration: .1, seed }),
  ],
  [
    "Dirichlet 1",
    .793,
    (seed) => dirichletAverage(sixteen, { device: "float64", concentration: 1, seed }),
  ],
  [
    "local average of 2",
    .087,
    (seed) => localAverage(sixteen, { device: "float64", draws: 2, seed }),
  ],
  [
    "local average of 4",
    .072,
    (seed) => localAverage(sixteen, { device: "float64", draws: 4, seed }),
  ],
  ["kernel density .05", .098, () => kernelDensity(optimalFloat64(sixteen), { bandwidth: .05 })],
  // The covariance of a circle is one half in each direction.
  ["Gaussian fit", .481, () => gaussianFloat64(gaussianLaw([0, 0], .5))],
];
for (const [name, wanted, of] of CIRCLE) {
  Deno.test(`baselines of the circle: ${name}`, async () => {
    const { distance } = await wasserstein2(await draw(await of(1), 800), ring(800), {
      dimension: 2,
    });
    assert.ok(Math.abs(distance - wanted) < .022, `${distance}, wanted ${wanted}`);
  });
}

/** Mean and variance of one coordinate. */
function moments(x: Float64Array, c: number, dimension: number): [number, number] {
  const values = x.filter((_, at) => at % dimension === c);
  const mean = values.reduce((a, b) => a + b) / values.length;
  return [mean, values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length];
}

Deno.test("baselines have the moments of their laws", async () => {
  const n = 4000, N = 9, d = 2;
  const data = Float32Array.from(startNoise(3, 0, N, d), (v, at) => v + at % d);
  const dataset = new Dataset({ data, shape: [d], name: "nine points" });
  const of = Float64Array.from(data);
  const laws: [Denoiser<Float64Array>, number][] = [
    [await randomAverage(dataset, { device: "float64", draws: 1 }), 1],
    [await randomAverage(dataset, { device: "float64", draws: 3 }), 1 / 3],
    [await dirichletAverage(dataset, { device: "float64", concentration: .1 }), 1 / (N * .1 + 1)],
    [await dirichletAverage(dataset, { device: "float64", concentration: 2.5 }), 1 / (N * 2.5 + 1)],
    // All items are neighbours.
    [await localAverage(dataset, { device: "float64", draws: 3, neighbours: N - 1 }), 1 / 3],
  ];
  for (const [denoiser, factor] of laws) {
    const zeros = arraySpace.from(new Float64Array(n * d), [n, d]);
    const x = (await denoiser.denoise(zeros, 1)).mean;
    for (let c = 0; c < d; c++) {
      const [[mean, variance], [m, v]] = [moments(x, c, d), moments(of, c, d)];
      // Four standard errors; that of a variance is at most √2/√n of it, or √(kurtosis/n) with a kurtosis below 4.
      assert.ok(
        Math.abs(mean - m) < 4 * Math.sqrt(factor * v / n),
        `${denoiser.label}: ${mean} ${m}`,
      );
      assert.ok(Math.abs(variance / (factor * v) - 1) < 4 * 2 / Math.sqrt(n), denoiser.label);
    }
  }
});

Deno.test("baselines end on the point of each sample, whatever sampler, grid and batch", async () => {
  const denoiser = await randomAverage(sixteen, { device: "float64", draws: 2 });
  const points = (await denoiser.denoise(new Float64Array(20), 1)).mean;
  const runs = [
    { grid: uniformTGrid(10) },
    { grid: karrasGrid(8), sampler: heun() },
    { grid: ddpmGrid(10), sampler: dpmpp2m(), batchSize: 3 },
    { grid: uniformTGrid(5, { start: .5 }), seed: 9 },
  ];
  for (const run of runs) {
    const { x } = await sample(denoiser, { count: 10, ...run, output: "tensor" });
    // Steps of a constant answer are sums of a state and that answer.
    assert.ok(x.every((v, at) => Math.abs(v - points[at]) < 1e-12));
  }
  const later = await sample(denoiser, {
    count: 4,
    first: 6,
    grid: uniformTGrid(10),
    output: "tensor",
  });
  assert.ok(later.x.every((v, at) => Math.abs(v - points[12 + at]) < 1e-12));
});

Deno.test("kernelDensity() is the denoiser of blurred items", async () => {
  // By quadrature over the blurred items on a line.
  const items = [-1, .3, 2], width = .4, sigma = .7, x = .9;
  const dataset = new Dataset({ data: Float32Array.from(items), shape: [1], name: "three" });
  let top = 0, bottom = 0;
  for (let y = -6; y < 8; y += 1e-3) {
    const density = items.reduce(
      (sum, i) => sum + Math.exp(-((y - Math.fround(i)) ** 2) / (2 * width * width)),
      0,
    );
    const weight = density * Math.exp(-((x - y) ** 2) / (2 * sigma * sigma));
    top += weight * y;
    bottom += weight;
  }
  const base = optimalFloat64(dataset);
  const [denoised] =
    (await (await kernelDensity(base, { bandwidth: width })).denoise(Float64Array.of(x), sigma))
      .mean;
  assert.ok(Math.abs(denoised - top / bottom) < 1e-9);
  const [plain] =
    (await (await kernelDensity(base, { bandwidth: 0 })).denoise(Float64Array.of(x), sigma)).mean;
  const [inside] = (await base.denoise(Float64Array.of(x), sigma)).mean;
  assert.ok(Math.abs(plain - inside) < 1e-15);
});

Deno.test("baselines work on tensors as in float64, one noise level per row, and leak nothing", async () => {
  using device = await openDevice("wasm");
  await withoutLeaks(async () => {
    using base = await optimal(sixteen, { device });
    const x = tensorSpace.from(startNoise(1, 0, 3, 2), [3, 2]);
    const numbers = Float64Array.from(await tensorSpace.values(x));
    const pairs: [Denoiser<typeof x>, Denoiser<Float64Array>][] = [
      [
        await kernelDensity(base, { bandwidth: .2 }),
        await kernelDensity(optimalFloat64(sixteen), { bandwidth: .2 }),
      ],
      [
        await localAverage(sixteen, { device: "wasm" }),
        await localAverage(sixteen, { device: "float64" }),
      ],
    ];
    for (const [single, double] of pairs) {
      const sigmas = [.3, 1, 4];
      const denoised = (await single.denoise(x, sigmas)).mean;
      const wanted = (await double.denoise(numbers, sigmas)).mean;
      const got = await tensorSpace.values(denoised);
      // Logits of at most (4/.3)²/2 nats, in float32.
      wanted.forEach((v, at) => assert.ok(Math.abs(v - got[at]) < 8 * 2 ** -24 * 90));
      tensorSpace.dispose(denoised);
    }
    x.dispose();
  });
});

Deno.test("baselines refuse what makes no sense", async () => {
  await assert.rejects(randomAverage(sixteen, { device: "float64", draws: 0 }), RangeError);
  await assert.rejects(localAverage(sixteen, { device: "float64", neighbours: 16 }), RangeError);
  await assert.rejects(
    dirichletAverage(sixteen, { device: "float64", concentration: 0 }),
    RangeError,
  );
  await assert.rejects(kernelDensity(optimalFloat64(sixteen), { bandwidth: -1 }), RangeError);
  await assert.rejects(
    (await randomAverage(sixteen, { device: "float64" })).denoise(new Float64Array(4), 1, {
      samples: [1],
    }),
    TypeError,
  );
});
