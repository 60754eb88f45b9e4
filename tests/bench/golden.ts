/**
 * The golden subset on CIFAR-10, step by step: seconds of one denoiser call for all samples, and how far it is from the
 * full scan at the same states.
 *
 *   deno task bench:golden [--data ../shared/data/cifar-10-batches-bin] [--count 16] [--repeats 3] [--device wasm]
 *
 * Methods take turns within each repetition; times are medians over repetitions. "published" is the
 * description of the paper, "released" the random pool of its code, "tail" the default of this package,
 * "certified" a tolerance of 1e-3 for the final image; "from disk" the full scan of data
 * that are read anew at every step. Errors are root mean squares per number, the worst sample's.
 */
import { parseArgs } from "node:util";
import {
  ddpmGrid,
  encodeNpy,
  goldenSubset,
  loadDataset,
  openDevice,
  openRows,
  optimal,
  sample,
  startNoise,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import type {
  AnyTensor,
  DeviceKind,
  GoldenSubset,
  OptimalDenoiser,
  Posterior,
} from "@closedform/diffusion";

const { values: options } = parseArgs({
  options: {
    data: { type: "string", default: "../shared/data/cifar-10-batches-bin" },
    count: { type: "string", default: "16" },
    repeats: { type: "string", default: "3" },
    device: { type: "string", default: "wasm" },
  },
});
const TOLERANCE = 1e-3;
const count = Number(options.count), repeats = Number(options.repeats);
const set = await loadDataset(`cifar10:${options.data}`);
using device = await openDevice(options.device as DeviceKind);
const grid = ddpmGrid(10);
using exact = await optimal(set, { device });
const file = await Deno.makeTempFile({ suffix: ".npy" });
await Deno.writeFile(file, encodeNpy(set.data, [set.count, ...set.shape]));
using rows = await openRows(file);
using streamed = await optimal(rows, { device });
const methods = new Map<string, OptimalDenoiser | GoldenSubset>([
  ["full scan", exact],
  ["from disk", streamed],
]);
const made: Disposable[] = [];
for (
  const [name, of] of [
    ["published", { tail: false }],
    ["released", { schedule: "random-pool" }],
    ["tail", { k: Math.round(set.count / 10), m: Math.round(set.count / 5) }],
    ["certified", { tolerance: TOLERANCE }],
  ] as const
) {
  const before = performance.now();
  const golden = await goldenSubset(exact, of);
  console.log(`${name}: set up in ${((performance.now() - before) / 1000).toFixed(1)} s`);
  methods.set(name, golden);
  made.push(golden);
}

interface Step {
  readonly seconds: number[];
  error: number;
  mse: number;
  readonly facts: Posterior<unknown>["facts"];
}

/** One walk down the grid along the states of the full scan, every method at each of them. */
async function walk(): Promise<Map<string, Step>[]> {
  const steps: Map<string, Step>[] = [];
  let state = Float32Array.from(
    startNoise(0, 0, count, set.dimension),
    (e) => grid.startScale * e,
  );
  for (let at = 0; at < grid.sigmas.length - 1; at++) {
    const [sigma, next] = [grid.sigmas[at], grid.sigmas[at + 1]];
    const x = tensorSpace.from(state, [count, ...set.shape]);
    const found = new Map<string, Step>();
    let whole: Float32Array | undefined;
    for (const [name, method] of methods) {
      const before = performance.now();
      const { mean, ...facts } = await method.denoise(x, sigma);
      const values = await read(mean);
      const seconds = (performance.now() - before) / 1000;
      whole ??= values;
      found.set(name, { seconds: [seconds], ...distance(values, whole), facts });
    }
    x.dispose();
    steps.push(found);
    const rho = next / sigma;
    state = state.map((v, i) => rho * v + (1 - rho) * whole![i]);
  }
  return steps;
}

async function read(mean: AnyTensor): Promise<Float32Array> {
  const values = Float32Array.from(await mean.data<"float32">());
  mean.dispose();
  return values;
}

function distance(a: Float32Array, b: Float32Array): { error: number; mse: number } {
  let error = 0, mse = 0;
  for (let q = 0; q < count; q++) {
    let square = 0;
    for (let c = q * set.dimension; c < (q + 1) * set.dimension; c++) square += (a[c] - b[c]) ** 2;
    square /= set.dimension;
    error = Math.max(error, Math.sqrt(square));
    mse += square / count;
  }
  return { error, mse };
}

const walks: Map<string, Step>[][] = [];
// The first one warms up.
for (let r = 0; r <= repeats; r++) walks.push(await walk());
const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const seconds = (at: number, name: string) =>
  median(walks.slice(1).map((steps) => steps[at].get(name)!.seconds[0]));

console.log(`\n${set.summary()}, ${count} samples, ${device.description}`);
console.log(
  "seconds per step; in brackets the mean squared error to the full scan; x: full scan / certified",
);
for (let at = 0; at < grid.sigmas.length - 1; at++) {
  const row = [grid.sigmas[at].toFixed(3).padStart(7)];
  for (const name of methods.keys()) {
    const { mse } = walks[0][at].get(name)!;
    const text = name === "full scan" ? "" : ` [${mse.toExponential(1)}]`;
    row.push(`${name} ${seconds(at, name).toFixed(4)}${text}`);
  }
  const { error, facts } = walks[0][at].get("certified")!;
  const sizes = facts.subsetSize!.toSorted();
  row.push(
    `x ${(seconds(at, "full scan") / seconds(at, "certified")).toFixed(1)}`,
    `worst ${error.toExponential(1)} <= ${Math.max(...facts.errorBound!).toExponential(1)}`,
    `k ${sizes[0]}/${median([...sizes])}/${sizes.at(-1)}`,
  );
  console.log(row.join("  "));
}
for (const name of methods.keys()) {
  const total = grid.sigmas.slice(0, -1).reduce((sum, _, at) => sum + seconds(at, name), 0);
  console.log(`${name}: ${total.toFixed(2)} s for all steps`);
}

// Each on its own trajectory: how far the final images are apart.
const ends: Float32Array[] = [];
for (const name of ["full scan", "certified"]) {
  const denoiser = name === "full scan" ? exact : made[3] as GoldenSubset;
  const { x, denoised, seconds } = await sample(denoiser, {
    count,
    grid,
    seed: 0,
    batchSize: count,
    output: "tensor",
  });
  ends.push(await read(x));
  denoised.dispose();
  console.log(`${name}: ${count} samples in ${seconds.toFixed(2)} s`);
}
const { error } = distance(ends[0], ends[1]);
console.log(`final images: the worst is off by ${error.toExponential(1)}, allowed ${TOLERANCE}`);
for (const golden of made) golden[Symbol.dispose]();
await Deno.remove(file);
