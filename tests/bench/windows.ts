/**
 * Denoisers by windows on the CPU: seconds per sample and step at the ten levels of the DDPM grid with the published windows, what
 * the side of the windows costs, and what more images would.
 *
 *   deno task bench:windows [--samples 8] [--images 1000] [--repeat 3]
 *
 * LS: all images of CIFAR-10 and MNIST. ELS and boundary-broken ELS: `--images` images of CIFAR-10, and, since the cost is proportional to
 * their number, what 10,000 would take. "cpu" is processor time over the number of threads: what a call takes on an otherwise idle machine.
 */
import {
  ddpmGrid,
  openDevice,
  patchSchedule,
  readCifar10,
  readMnist,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type { Dataset, DataStore, Translations } from "@closedform/diffusion";
import process from "node:process";
import { parseArgs } from "node:util";
import { dataPath } from "../_helpers/data.ts";

const { values: options } = parseArgs({
  options: {
    samples: { type: "string", default: "8" },
    images: { type: "string", default: "1000" },
    repeat: { type: "string", default: "3" },
  },
});
const samples = Number(options.samples), repeat = Number(options.repeat);
const images = Number(options.images);
const threads = navigator.hardwareConcurrency;
const levels = ddpmGrid(10).sigmas.slice(0, 10);

/** Seconds per sample: by the clock, and of processor time over the number of threads. Medians. */
interface Seconds {
  readonly clock: number;
  readonly cpu: number;
}

async function seconds(batch: number, run: () => Promise<unknown>): Promise<Seconds> {
  const clock: number[] = [], cpu: number[] = [];
  for (let k = 0; k < repeat; k++) {
    const before = process.cpuUsage(), start = performance.now();
    await run();
    const { user, system } = process.cpuUsage(before);
    clock.push((performance.now() - start) / 1000 / batch);
    cpu.push((user + system) / 1e6 / threads / batch);
  }
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(repeat / 2)];
  return { clock: middle(clock), cpu: middle(cpu) };
}

/** Noised images of the set, far apart. */
function queries(set: Dataset, batch: number, sigma: number): Float32Array {
  const { dimension: d, count } = set;
  const noise = startNoise(1, 0, batch, d);
  const values = new Float32Array(batch * d);
  for (let i = 0; i < batch; i++) {
    const clean = set.values(Math.floor((i + 0.5) * count / batch));
    clean.forEach((v, c) => values[i * d + c] = v + sigma * noise[i * d + c]);
  }
  return values;
}

function row(cells: (string | number)[]): void {
  console.log(`| ${cells.map((v) => typeof v === "number" ? v.toPrecision(3) : v).join(" | ")} |`);
}

async function measure(
  set: Dataset,
  store: DataStore,
  batch: number,
  sigma: number,
  patch: number,
  translations: Translations,
): Promise<Seconds> {
  const x = queries(set, batch, sigma);
  return await seconds(
    batch,
    () => store.windowed!(x, sigma, { shape: set.shape, patch, translations }),
  );
}

using device = await openDevice("wasm");
console.log(device.description);

for (
  const set of [
    await readCifar10(dataPath("cifar-10-batches-bin")),
    await readMnist(dataPath("mnist")),
  ]
) {
  const store = await device.store(set);
  const windows = patchSchedule("mnist-unet", set.shape[0]);
  console.log(`\nLS, ${set.summary()}, ${samples} samples\n`);
  row([
    "sigma",
    "window",
    "s per sample and step",
    "of cpu",
    "ns per image and pixel",
    "optimal, s",
  ]);
  row(["---", "---", "---", "---", "---", "---"]);
  let total = 0, exact = 0;
  for (const sigma of levels) {
    const patch = windows(sigma);
    const found = await measure(set, store, samples, sigma, patch, "none");
    const x = tensorSpace.from(queries(set, samples, sigma), [samples, set.dimension]);
    const whole = await seconds(
      samples,
      async () => (await store.posterior(x, sigma)).mean.dispose(),
    );
    x.dispose();
    total += found.cpu;
    exact += whole.cpu;
    const pixels = set.count * set.shape[0] * set.shape[1];
    row([
      sigma,
      String(patch),
      found.clock,
      found.cpu,
      found.cpu / pixels * 1e9 * threads,
      whole.cpu,
    ]);
  }
  row(["mean", "", "", total / 10, "", exact / 10]);
  const sides = [3, 7, 15, 31, 63];
  const costs: string[] = [];
  for (const patch of sides) {
    const { cpu } = await measure(set, store, samples, 1, patch, "none");
    costs.push(`${patch}: ${cpu.toPrecision(3)} s`);
  }
  console.log(`\nAt sigma 1, by the side of the windows: ${costs.join(", ")}`);
  store.dispose();
}

const cifar = (await readCifar10(dataPath("cifar-10-batches-bin"))).take(images);
const store = await device.store(cifar);
const windows = patchSchedule("cifar-unet");
for (const translations of ["circular", "border"] as const) {
  const name = translations === "border" ? "Boundary-broken ELS" : "ELS";
  console.log(`\n${name}, ${cifar.summary()}, 1 sample\n`);
  row(["sigma", "window", "s per sample and step", "of cpu", "10,000 images would take, s of cpu"]);
  row(["---", "---", "---", "---", "---"]);
  for (const sigma of levels) {
    const patch = windows(sigma);
    const { clock, cpu } = await measure(cifar, store, 1, sigma, patch, translations);
    row([sigma, String(patch), clock, cpu, cpu * 10_000 / images]);
  }
}
store.dispose();
