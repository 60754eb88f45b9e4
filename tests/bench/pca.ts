/**
 * PCA locality over golden subsets of CIFAR-10 at the ten levels of the DDPM grid, with as many items as published
 * (2,500 to 5,000): milliseconds per sample and step, what masks and trees cost, and how far from the floor that is.
 *
 *   deno task bench:pca [--samples 4] [--repeat 5] [--theta 0.03] [--rivals] [--golden]
 *
 * With --golden, ten DDIM steps of the golden subset as it is used, search included: described schedule, pooled proxy.
 *
 * Additions per item and column: the ones of the mask, the shorter of ones and zeros, the tree. The floor is the tree's
 * additions over the rate at which one core loads and adds vectors from its first cache, on all threads.
 * "of cpu" is processor time over the number of threads. Rivals: the column sums alone, on one thread, divided by the number of threads.
 */
import {
  dataSpectrum,
  ddpmGrid,
  goldenSubset,
  localityMask,
  openDevice,
  pcaLocality,
  RandomStream,
  readCifar10,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { publishedTheta } from "../../src/denoisers/local/pca_locality.ts";
import type { Subset } from "@closedform/diffusion";
import process from "node:process";
import { parseArgs } from "node:util";
import { columnSizes } from "../../src/compute/mask.ts";
import { treeProgram } from "../../src/compute/mask_tree.ts";
import { spanningTree } from "../../src/compute/wasm/mask_program.ts";
import { ThreadPool } from "../../src/compute/wasm/pool.ts";
import { dataPath } from "../_helpers/data.ts";
import { median } from "./_jobs.ts";
import { MaskedRivals } from "./_masked_rivals.ts";

const { values: options } = parseArgs({
  options: {
    samples: { type: "string", default: "4" },
    repeat: { type: "string", default: "5" },
    theta: { type: "string" },
    rivals: { type: "boolean", default: false },
    golden: { type: "boolean", default: false },
  },
});
const samples = Number(options.samples), repeat = Number(options.repeat);
const threads = navigator.hardwareConcurrency;
const set = await readCifar10(dataPath("cifar-10-batches-bin"));
const theta = Number(options.theta ?? publishedTheta("cifar10-golden"));
const { dimension: d, count } = set;

async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const before = performance.now();
  return [await run(), performance.now() - before];
}

/** The published number of items: from N/20 to N/10, falling with the share of signal. */
function publishedK(sigma: number): number {
  const share = 1 - sigma / Math.hypot(1, sigma);
  return Math.round(count / 10 - (count / 10 - count / 20) * share);
}

/** Rows drawn without replacement. */
function randomRows(k: number, sample: number): Uint32Array {
  const random = new RandomStream({ seed: 1, sample, purpose: "retrieval" });
  const rows = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < k; i++) {
    const j = i + random.below(count - i);
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows.slice(0, k);
}

const [spectrum, spectrumTime] = await timed(() => dataSpectrum(set));
console.log(
  `${set.summary()}; theta ${theta}; ${threads} threads; spectrum ${
    (spectrumTime / 1000).toFixed(1)
  } s`,
);
using device = await openDevice("wasm");
const store = await device.store(set);
const pool = new ThreadPool(threads, true);
const rivals = await MaskedRivals.make(d);
const [first, second] = [2 ** 14, 64 * d].map((bytes) => rivals.additionsPerSecond(bytes));
console.log(
  `one core loads and adds ${(first / 1e9).toFixed(1)} G vectors/s from the first cache, ` +
    `${(second / 1e9).toFixed(1)} from the second\n`,
);
const columns = ["sigma", "k", "density", "ones", "shorter", "tree", "mask ms", "tree ms"];
columns.push("nearest ms", "of cpu", "random ms", "of cpu", "floor ms");
if (options.rivals) columns.push("lists ms", "shorter ms", "dense ms");
console.log(`| ${columns.join(" | ")} |\n|${"---|".repeat(columns.length)}`);

/** Milliseconds per sample: wall time, and processor time over the number of threads, which says more on a shared machine. */
interface Time {
  readonly wall: number;
  readonly cpu: number;
}

async function perSample(run: () => Promise<void>): Promise<Time> {
  const before = process.cpuUsage();
  const wall = await median(repeat, run);
  const { user, system } = process.cpuUsage(before);
  return { wall: wall / samples, cpu: (user + system) / 1000 / (repeat + 1) / samples / threads };
}

/** Prints the average over all levels, and the most at the low ones. */
function summarise(what: string, times: readonly (Time & { readonly sigma: number })[]): void {
  for (const kind of ["wall", "cpu"] as const) {
    const average = times.reduce((sum, time) => sum + time[kind], 0) / times.length;
    const most = Math.max(...times.filter(({ sigma }) => sigma <= 1).map((time) => time[kind]));
    console.log(
      `${what}, per sample and step, ${kind}: ${average.toFixed(0)} ms on average, ${
        most.toFixed(0)
      } at most at sigma <= 1`,
    );
  }
}

/** Ten steps of DDIM with golden subsets; the first run makes the masks, and does not count. */
async function goldenSteps(): Promise<void> {
  using base = await pcaLocality(set, { device, theta, spectrum });
  using golden = await goldenSubset(base);
  const { sigmas } = ddpmGrid(10), times: (Time & { sigma: number })[] = [];
  for (const counts of [false, true]) {
    let x = tensorSpace.from(
      startNoise(1, 0, samples, d).map((e) => e * Math.hypot(1, sigmas[0])),
      [samples, ...set.shape],
    );
    for (const [step, sigma] of sigmas.slice(0, -1).entries()) {
      const [wall, cpu] = [performance.now(), process.cpuUsage()];
      const denoised = (await golden.denoise(x, sigma)).mean;
      const { user, system } = process.cpuUsage(cpu);
      if (counts) {
        times.push({
          sigma,
          wall: (performance.now() - wall) / samples,
          cpu: (user + system) / 1000 / samples / threads,
        });
      }
      const ratio = sigmas[step + 1] / sigma;
      const next = tensorSpace.combine([ratio, 1 - ratio], [x, denoised]);
      tensorSpace.dispose(x, denoised);
      x = next;
    }
    x.dispose();
  }
  const list = (kind: "wall" | "cpu") => times.map((time) => time[kind].toFixed(0)).join(", ");
  console.log(
    `\n${golden.label}\nms per sample, by step: wall ${list("wall")}; cpu ${list("cpu")}`,
  );
  summarise("golden subset", times);
}

const times: (Time & { sigma: number })[] = [];
for (const sigma of ddpmGrid(10).sigmas.filter((s) => s > 0)) {
  const [mask, maskTime] = await timed(() => localityMask(spectrum, sigma, { theta }));
  const [tree, treeTime] = await timed(async () =>
    treeProgram(mask, await spanningTree(mask, pool))
  );
  const k = publishedK(sigma);
  const noise = startNoise(1, 0, samples, d);
  const x = Float32Array.from(noise, (e, i) => set.data[i] / 127.5 - 1 + sigma * e);
  const state = tensorSpace.from(x, [samples, ...set.shape]);
  const { indices } = await store.nearest(state, k);
  state.dispose();
  const each = (rows: (q: number) => Uint32Array) =>
    Array.from({ length: samples }, (_, q) => ({ rows: rows(q) }));
  const measure = (subsets: Subset[]) =>
    perSample(async () => {
      await store.masked!(x, sigma, mask, { subsets });
    });
  const nearest = await measure(each((q) => indices.slice(q * k, (q + 1) * k)));
  const random = await measure(each((q) => randomRows(k, q)));
  times.push({ sigma, ...nearest });
  const sizes = [...columnSizes(mask)];
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / d;
  const row = [
    sigma.toPrecision(4),
    k,
    (mean(sizes) / d).toFixed(3),
    mean(sizes).toFixed(0),
    mean(sizes.map((size) => Math.min(size, d - size))).toFixed(0),
    (tree.weight / d).toFixed(1),
    maskTime.toFixed(0),
    treeTime.toFixed(0),
    ...[nearest.wall, nearest.cpu, random.wall, random.cpu].map((ms) => ms.toFixed(0)),
    (1000 * tree.weight * k / 4 / first / threads).toFixed(1),
  ];
  if (options.rivals) {
    const ms = (seconds: number) => (1000 * seconds * k / threads).toFixed(0);
    row.push(ms(rivals.lists(mask, false)), ms(rivals.lists(mask, true)), ms(rivals.dense(mask)));
  }
  console.log(`| ${row.join(" | ")} |`);
}
console.log("");
summarise("masked kernel", times);
if (options.golden) await goldenSteps();
pool.dispose();
store.dispose();
