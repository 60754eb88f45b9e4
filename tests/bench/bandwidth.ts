/**
 * The bandwidth of smoothing, swept around the default of `smoothingDefaults()`, on sets from a curve to photographs.
 *
 *   deno task bench:bandwidth [--samples 64] [--steps 50] [--only moons]   (of points at least 200 steps)
 *
 * Of each set some items are held out. "picks" is the share of picks `NN(y + βε)` around 128 held-out items `y` that are among the 8 nearest
 * items of `y`; "energy" the energy distance of samples to held-out items, in gaps, without bias, so that it may be below 0; "nearest" the
 * median distance of a sample to its nearest item, in gaps, a gap being the median distance of an item to its nearest other one; "copies" the
 * share of samples within a tenth of a gap of an item; "one class" the share of pairs of picks around a held-out item that have the same label.
 * There is no likelihood: samples end on means of items, and their law has no density. The energy distance is a proper score without one.
 */
import {
  circle,
  energyDistance,
  moons,
  openDevice,
  optimal,
  readCifar10,
  readMesh,
  readMnist,
  sample,
  smoothed,
  smoothingDefaults,
  startNoise,
  uniformTGrid,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { Dataset, Device } from "@closedform/diffusion";
import { parseArgs } from "node:util";
import { medianOf } from "../../src/base/_quantile.ts";
import { dataPath } from "../_helpers/data.ts";

const { values: options } = parseArgs({
  options: {
    samples: { type: "string", default: "64" },
    steps: { type: "string", default: "50" },
    only: { type: "string" },
  },
});
const count = Number(options.samples), steps = Number(options.steps);
/** Of the default. */
const FACTORS = [0, 0.25, 0.5, 0.71, 1, 1.41, 2, 4];
const HELD = 128, NEIGHBOURS = 8;

/** A set and items that it does not have. */
interface Split {
  readonly name: string;
  readonly set: Dataset;
  readonly held: Dataset;
}

/** The first `n` items, and up to 400 after them. */
function split(name: string, all: Dataset, n: number): Split {
  const rest = Math.min(400, all.count - n);
  return {
    name,
    set: all.take(n),
    held: all.subset(Array.from({ length: rest }, (_, i) => n + i)),
  };
}

const SPLITS: Record<string, () => Promise<Split>> = {
  circle: () => Promise.resolve(split("circle", circle(430), 30)),
  moons: () => Promise.resolve(split("moons", moons(600), 200)),
  "spot random": async () =>
    split("spot random", await readMesh(dataPath("meshes/spot.obj"), { count: 600 }), 200),
  "spot even": async () => {
    const path = dataPath("meshes/spot.obj");
    const set = await readMesh(path, { count: 200, method: "farthest" });
    return { name: "spot even", set, held: await readMesh(path, { count: 400, seed: 1 }) };
  },
  mnist: async () => split("mnist", await readMnist(dataPath("mnist")), 2000),
  cifar: async () => split("cifar", await readCifar10(dataPath("cifar-10-batches-bin")), 1000),
};

/** Rows of a set in data units. */
function rowsOf(set: Dataset, most = set.count): Float32Array {
  const n = Math.min(most, set.count), rows = new Float32Array(n * set.dimension);
  for (let i = 0; i < n; i++) rows.set(set.values(i), i * set.dimension);
  return rows;
}

async function sweep({ name, set, held }: Split, device: Device): Promise<void> {
  const d = set.dimension;
  const { bandwidth, gap } = await smoothingDefaults(set, { device });
  using base = await optimal(set, { device });
  const nearest = async (rows: ArrayLike<number>, k: number) => {
    const x = tensorSpace.from(rows, [rows.length / d, ...set.shape]);
    const found = await base.store.nearest(x, k);
    x.dispose();
    return found;
  };
  const centres = rowsOf(held, HELD), around = (await nearest(centres, NEIGHBOURS)).indices;
  const picks = async (beta: number, seed: number) => {
    const draws = startNoise(seed, 0, centres.length / d, d);
    return (await nearest(centres.map((v, i) => v + beta * draws[i]), 1)).indices;
  };
  console.log(
    `\n${name}: ${set.summary()}, default bandwidth ${bandwidth.toPrecision(3)}, gap ${
      gap.toPrecision(3)
    }\n` +
      "\n| of the default | bandwidth | picks | one class | energy | nearest | copies |" +
      "\n| --- | --- | --- | --- | --- | --- | --- |",
  );
  const others = rowsOf(held);
  for (const factor of FACTORS) {
    const beta = factor * bandwidth;
    const [a, b] = [await picks(beta, 1), await picks(beta, 2)];
    const among = a.filter((item, i) => around.subarray(8 * i, 8 * i + 8).includes(item)).length /
      a.length;
    const same = set.labels &&
      a.filter((item, i) => set.labels![item] === set.labels![b[i]]).length / a.length;
    const { x, denoised } = await sample(await smoothed(base, { bandwidth: beta }), {
      count,
      grid: uniformTGrid(Math.max(steps, d < 10 ? 200 : 0)),
      output: "tensor",
    });
    const samples = await tensorSpace.values(x);
    tensorSpace.dispose(x, denoised);
    const near = (await nearest(samples, 1)).distances.map((v) => v / gap);
    const cells = [
      factor,
      beta.toPrecision(3),
      among.toFixed(2),
      same?.toFixed(2) ?? "",
      (energyDistance(samples, others, { dimension: d, unbiased: true }) / gap).toFixed(4),
      medianOf(near).toFixed(2),
      (near.filter((v) => v < 0.1).length / count).toFixed(2),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

using device = await openDevice("wasm");
for (const [name, open] of Object.entries(SPLITS)) {
  if (options.only === undefined || options.only === name) await sweep(await open(), device);
}
