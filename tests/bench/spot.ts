/**
 * From a sparse mesh sample to a dense cloud: how far smoothing closes the gap to the surface.
 *
 *   deno task bench:spot [--mesh FILE] [--seeds 3] [--count 2000] [--steps 100] [--draws 4] [--first 0] [--only "500 area"] [--factors 1,2,auto]
 *
 * Spot, or another mesh, with the longest side of its box from -1 to 1. Sparse sets of its surface points become
 * clouds of 2,000 samples, which are compared with 2,000 fresh surface points by the exact 2-Wasserstein distance.
 * The bandwidth is given as a multiple of β* = median gap / √(2π); `auto` is the rule of `smoothingDefaults()`. A drop is that
 * from the distance of the sparse set itself, whose points count equally often; the floor is the distance
 * of two fresh samples of the surface, and the last column the drop as a share of the most there is, from sparse set to floor.
 * Means over the seeds, in brackets the smallest and the largest.
 */
import {
  openDevice,
  optimal,
  readMesh,
  sample,
  smoothed,
  smoothingDefaults,
  uniformTGrid,
  wasserstein2,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { Dataset, Device } from "@closedform/diffusion";
import { parseArgs } from "node:util";
import { dataPath } from "../_helpers/data.ts";

const { values: options } = parseArgs({
  options: {
    mesh: { type: "string", default: dataPath("meshes/spot.obj") },
    seeds: { type: "string", default: "3" },
    count: { type: "string", default: "2000" },
    steps: { type: "string", default: "100" },
    draws: { type: "string", default: "4" },
    first: { type: "string", default: "0" },
    only: { type: "string" },
    factors: { type: "string" },
  },
});
const [seeds, count, steps, M, first] = [
  ...[options.seeds, options.count, options.steps, options.draws, options.first],
].map(Number);

/** Sparse sets, and the bandwidths that are tried on each. */
const SETS = [
  { points: 200, method: "area", factors: [1, 1.5, 2, 3, "auto"] },
  { points: 200, method: "farthest", factors: [1, 1.5, 2, 3, "auto"] },
  { points: 500, method: "area", factors: [1.5, "auto"] },
] as const;

/** A set's points, each as often as it takes to make `count` of them. */
function repeated({ data, count: n }: Dataset): number[] {
  if (count % n !== 0) {
    throw new RangeError(`Cannot repeat ${n} points to ${count}: wanted a multiple`);
  }
  return Array.from({ length: count / n }, () => [...data]).flat();
}

async function cloud(set: Dataset, device: Device, bandwidth: number, seed: number) {
  using base = await optimal(set, { device });
  const { x, denoised } = await sample(await smoothed(base, { bandwidth, draws: M, seed }), {
    count,
    grid: uniformTGrid(steps),
    seed,
    batchSize: 500,
    output: "tensor",
  });
  const values = await tensorSpace.values(x);
  tensorSpace.dispose(x, denoised);
  return values;
}

/** The mean, and the ends of the range. */
function over(values: readonly number[], text: (v: number) => string): string {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return values.length === 1
    ? text(mean)
    : `${text(mean)} (${text(Math.min(...values))}..${text(Math.max(...values))})`;
}

const percent = (v: number) => `${(100 * v).toFixed(1)} %`;
const three = (v: number) => v.toFixed(4);

using device = await openDevice("wasm");

/** A sparse set, and what its samples are compared with. */
async function problem(points: number, method: "area" | "farthest", seed: number) {
  // The seeds of the sparse set, of the fresh points and of the second fresh ones must differ.
  const set = await readMesh(options.mesh, { count: points, method, seed: 3 * seed });
  const fresh = await readMesh(options.mesh, { count, seed: 3 * seed + 1 });
  const other = await readMesh(options.mesh, { count, seed: 3 * seed + 2 });
  const distance = async (a: ArrayLike<number>) =>
    (await wasserstein2(a, fresh.data, { dimension: 3 })).distance;
  const { bandwidth: auto, gap } = await smoothingDefaults(set, { device });
  return {
    set,
    seed,
    distance,
    auto,
    star: gap / Math.sqrt(2 * Math.PI),
    sparse: await distance(repeated(set)),
    floor: await distance(other.data),
  };
}

type Problem = Awaited<ReturnType<typeof problem>>;

/** One bandwidth on one set. */
async function row({ set, seed, distance, auto, star, sparse, floor }: Problem, factor: string) {
  const bandwidth = factor === "auto" ? auto : Number(factor) * star;
  const w2 = await distance(await cloud(set, device, bandwidth, seed));
  return {
    ratio: bandwidth / star,
    bandwidth,
    w2,
    sparse,
    floor,
    drop: 1 - w2 / sparse,
    most: 1 - floor / sparse,
    share: (sparse - w2) / (sparse - floor),
  };
}

type Row = Awaited<ReturnType<typeof row>>;

console.log(
  `${options.mesh.split("/").at(-1)}: ${count} samples, M = ${M}, S = ${steps}, ${seeds} seeds\n` +
    "| points | β/β* | β | W2 | sparse | floor | drop | most | share |\n" +
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
);
const began = performance.now();
for (const { points, method, factors } of SETS) {
  if (options.only !== undefined && options.only !== `${points} ${method}`) continue;
  const problems: Problem[] = [];
  for (let seed = first; seed < first + seeds; seed++) {
    problems.push(await problem(points, method, seed));
  }
  for (const factor of options.factors?.split(",") ?? factors.map(String)) {
    const rows: Row[] = [];
    for (const at of problems) rows.push(await row(at, factor));
    const cell = (name: keyof Row, text: (v: number) => string) =>
      over(rows.map((row) => row[name]), text);
    const ratio = cell("ratio", (v) => v.toFixed(2));
    console.log(
      `| ${points} ${method} | ${factor === "auto" ? `auto, ${ratio}` : factor} | ${
        cell("bandwidth", three)
      } | ${cell("w2", three)} | ${cell("sparse", three)} | ${cell("floor", three)} | ${
        cell("drop", percent)
      } | ${cell("most", percent)} | ${cell("share", percent)} |`,
    );
  }
}
console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`);
