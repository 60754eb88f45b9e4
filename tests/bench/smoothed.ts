/**
 * Smoothed closed-form diffusion on the CPU: samples per second in latents of CIFAR-10 (128 principal components, whitened, all 50,000
 * items) and in pixels of MNIST (60,000 x 784), by kept products, by perturbed queries, and by the neighbour estimator, and how
 * their samples differ. C. Scarvelis, H. Sáez de Ocáriz Borde, J. Solomon (2023), arXiv:2310.12395, report 138 latents of CIFAR-10 per second on
 * a CPU with M = 2, in an autoencoder's latents and without saying how many steps.
 *
 *   deno task bench:smoothed [--samples 128] [--steps 16] [--draws 2] [--neighbours 100] [--others 100] [--cache DIR]
 *
 * "cpu" is processor time over the number of threads: what a run takes on an otherwise idle machine. All runs start from the same noise
 * and have the same draws; "coupled" is the median distance between samples of the same index, in units of the gap, the median
 * distance of an item to the nearest other one. W2 is exact, by assignment, of coupled sets; its floor is that between two sets of different
 * seeds. A sample is memorised if it is nearer to an item than 95 % of the items are to their nearest other one.
 */
import {
  encodeDataset,
  energyDistance,
  neighbourEstimator,
  openDevice,
  optimal,
  pcaCodec,
  readCifar10,
  readMnist,
  sample,
  smoothed,
  smoothingDefaults,
  uniformTGrid,
  wasserstein2,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { AnyTensor, Dataset, Denoiser, Device } from "@closedform/diffusion";
import process from "node:process";
import { parseArgs } from "node:util";
import { medianOf, quantile } from "../../src/base/_quantile.ts";
import { rowDistances } from "../../src/theory/_flow_runs.ts";
import { dataPath } from "../_helpers/data.ts";

const { values: options } = parseArgs({
  options: {
    samples: { type: "string", default: "128" },
    steps: { type: "string", default: "16" },
    draws: { type: "string", default: "2" },
    neighbours: { type: "string", default: "100" },
    others: { type: "string", default: "100" },
    cache: { type: "string" },
  },
});
const count = Number(options.samples), steps = Number(options.steps), M = Number(options.draws);
const K = Number(options.neighbours), L = Number(options.others);
const threads = navigator.hardwareConcurrency;
// A late start in flow time: σ = 4.
const LATE = 0.2;

/** A way to sample. */
interface Way {
  readonly name: string;
  readonly denoiser: Denoiser<AnyTensor>;
  readonly steps: number;
  readonly start: number;
  readonly seed: number;
}

/** Its samples, and what they took. */
interface Drawn {
  readonly x: Float32Array;
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

async function draw(way: Way): Promise<Drawn> {
  const grid = uniformTGrid(way.steps, { start: way.start });
  const before = process.cpuUsage(), began = performance.now();
  const { x, denoised } = await sample(way.denoiser, {
    count,
    grid,
    seed: way.seed,
    output: "tensor",
  });
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  const values = await tensorSpace.values(x) as Float32Array;
  tensorSpace.dispose(x, denoised);
  return {
    x: values,
    perSecond: count / seconds,
    perCpuSecond: count * threads * 1e6 / (user + system),
  };
}

async function measure(set: Dataset, device: Device): Promise<void> {
  const d = set.dimension;
  const { bandwidth, gap } = await smoothingDefaults(set, { device });
  using base = await optimal(set, { device });
  const nearest = async (rows: Float32Array, k: number) => {
    const x = tensorSpace.from(rows, [rows.length / d, ...set.shape]);
    const found = await base.store.nearest(x, k);
    x.dispose();
    return found.distances.filter((_, i) => i % k === k - 1);
  };
  const looked = new Float32Array(512 * d);
  for (let i = 0; i < 512; i++) looked.set(set.values(Math.floor(i * set.count / 512)), i * d);
  const threshold = quantile(await nearest(looked, 2), .05);

  const smooth = { bandwidth, draws: M };
  const perturbed: typeof base = { ...base, denoise: (...args) => base.denoise(...args) };
  const exact = await smoothed(base, smooth);
  const estimated = await smoothed(
    await neighbourEstimator(base, { neighbours: K, others: Math.min(L, set.count - K) }),
    smooth,
  );
  const ways: Way[] = [
    { name: "kept products", denoiser: exact, steps, start: 0, seed: 0 },
    {
      name: "perturbed queries",
      denoiser: await smoothed(perturbed, smooth),
      steps,
      start: 0,
      seed: 0,
    },
    {
      name: "kept products, another seed",
      denoiser: await smoothed(base, { ...smooth, seed: 1 }),
      steps,
      start: 0,
      seed: 1,
    },
    { name: "kept products", denoiser: exact, steps: steps / 2, start: 0, seed: 0 },
    { name: "kept products", denoiser: exact, steps: steps / 2, start: LATE, seed: 0 },
    { name: `${K} nearest + ${L} others`, denoiser: estimated, steps, start: 0, seed: 0 },
  ];
  console.log(
    `\n${set.summary()}: M ${M}, bandwidth ${bandwidth.toFixed(2)}, gap ${
      gap.toFixed(2)
    }, ${count} samples\n`,
  );
  console.log("|  | S | T | samples/s | by cpu | coupled | W2 | energy | memorised |");
  console.log("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
  // The first run of all pays for memory and compilation.
  await draw({ ...ways[0], steps: 2 });
  let reference: Float32Array | undefined;
  for (const way of ways) {
    const { x, perSecond, perCpuSecond } = await draw(way);
    reference ??= x;
    const near = await nearest(x, 1);
    const cells = [
      way.name,
      way.steps,
      way.start,
      perSecond.toFixed(1),
      perCpuSecond.toFixed(1),
      (medianOf(rowDistances(x, reference, d)) / gap).toPrecision(2),
      (await wasserstein2(x, reference, { dimension: d })).distance.toPrecision(3),
      energyDistance(x, reference, { dimension: d }).toPrecision(3),
      (near.filter((v) => v < threshold).length / count).toFixed(3),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

using device = await openDevice("wasm");
console.log(`${device.description}, ${threads} threads`);
const cifar = await readCifar10(dataPath("cifar-10-batches-bin"));
{
  using codec = await pcaCodec(cifar, {
    rank: 128,
    ...(options.cache && { cache: options.cache }),
  });
  await measure(await encodeDataset(cifar, codec), device);
}
await measure(await readMnist(dataPath("mnist")), device);
