/**
 * Whether the tables of DPM-Solver-v3 pay: its errors at few evaluations beside those of DPM-Solver++(2M) and UniPC.
 *
 *   deno task bench:statistics [--data moons:2000] [--limit N] [--evaluations 8,10,12,16,20] [--grids karras,log-snr]
 *     [--samples 64] [--count 64] [--seeds 3] [--device wasm]
 *
 * All methods start from the same noise at σ = 80 and make one evaluation per step. An error is the distance, root mean square
 * per number and relative to the deviation of the data, from the end of 256 steps of Heun from that noise on the same grid: its
 * mean over the samples, with the standard error over seeds. Each seed has tables and noise of its own. `uncorrected` is
 * dpm-v3 without its corrector, which the published settings use at six evaluations or fewer.
 */
import type { AnyTensor, Denoiser, DeviceKind, Sampler, SigmaGrid } from "@closedform/diffusion";
import {
  dpmpp2m,
  dpmV3,
  dpmV3Statistics,
  heun,
  loadDataset,
  openDevice,
  optimal,
  sample,
  unipc,
} from "@closedform/diffusion";
import { tensorSpace } from "@closedform/diffusion/compute";
import { gridByName } from "../../src/base/noise.ts";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    data: { type: "string", default: "moons:2000" },
    limit: { type: "string" },
    evaluations: { type: "string", default: "8,10,12,16,20" },
    grids: { type: "string", default: "karras,log-snr" },
    samples: { type: "string", default: "64" },
    count: { type: "string", default: "64" },
    seeds: { type: "string", default: "3" },
    device: { type: "string", default: "wasm" },
  },
});
const REFERENCE_STEPS = 256;

const limit = options.limit === undefined ? undefined : Number(options.limit);
const data = await loadDataset(options.data, { limit });
using device = await openDevice(options.device as DeviceKind);
using denoiser = await optimal(data, { device });
const count = Number(options.count), d = data.dimension;
const deviation = Math.sqrt(variance());

/** The mean squared distance of the items to their mean, per number. */
function variance(): number {
  const mean = data.mean();
  let sum = 0;
  for (let i = 0; i < data.count; i++) {
    data.values(i).forEach((v, c) => sum += (v - mean[c]) ** 2);
  }
  return sum / (data.count * d);
}

async function endOf(sampler: Sampler, grid: SigmaGrid, seed: number): Promise<ArrayLike<number>> {
  const run = { count, sampler, grid, seed };
  const { x, denoised } = await sample(denoiser as Denoiser<AnyTensor>, {
    ...run,
    output: "tensor",
  });
  const values = await tensorSpace.values(x);
  tensorSpace.dispose(x, denoised);
  return values;
}

/** The mean distance of ends, relative to the deviation of the data; infinite for a run that failed. */
async function meanError(
  sampler: Sampler,
  grid: SigmaGrid,
  seed: number,
  exact: ArrayLike<number>,
): Promise<number> {
  const end = await endOf(sampler, grid, seed).catch((error) => {
    if (!(error instanceof RangeError)) throw error;
    console.log(error.message);
    return undefined;
  });
  if (!end) return Infinity;
  let sum = 0;
  for (let row = 0; row < count; row++) {
    let squares = 0;
    for (let c = 0; c < d; c++) squares += (end[row * d + c] - exact[row * d + c]) ** 2;
    sum += Math.sqrt(squares / d) / count;
  }
  return sum / deviation;
}

function withSpread(values: readonly number[]): string {
  const n = values.length, mean = values.reduce((sum, v) => sum + v, 0) / n;
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  const digits = (v: number) => v.toPrecision(2);
  return `${digits(mean)} ± ${digits(Math.sqrt(squares / (n - 1) / n))}`;
}

console.log(`${data.summary()}, ${denoiser.label}, ${device.kind}`);
const seeds = Array.from({ length: Number(options.seeds) }, (_, k) => k + 1);
const METHODS = ["dpmpp-2m", "unipc", "dpm-v3", "uncorrected"] as const;
const errors = new Map<string, number[]>();
for (const seed of seeds) {
  const begin = performance.now();
  const statistics = await dpmV3Statistics(denoiser, data, {
    samples: Number(options.samples),
    seed,
    cache: false,
  });
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `tables of seed ${seed}: ${seconds.toFixed(1)} s, ${JSON.stringify(statistics.facts)}`,
  );
  const samplers = [
    dpmpp2m(),
    unipc(),
    dpmV3({ statistics }),
    dpmV3({ statistics, corrector: false }),
  ];
  for (const name of options.grids.split(",")) {
    const exact = await endOf(heun(), gridByName(name, REFERENCE_STEPS), seed);
    for (const evaluations of options.evaluations.split(",").map(Number)) {
      for (const [k, sampler] of samplers.entries()) {
        const key = [name, evaluations, METHODS[k]].join();
        const error = await meanError(sampler, gridByName(name, evaluations), seed, exact);
        errors.set(key, [...errors.get(key) ?? [], error]);
      }
    }
  }
}
console.log(`\n| grid | evaluations | ${METHODS.join(" | ")} |`);
console.log(`| --- | --- |${" --- |".repeat(METHODS.length)}`);
for (const name of options.grids.split(",")) {
  for (const evaluations of options.evaluations.split(",")) {
    const cells = METHODS.map((method) =>
      withSpread(errors.get([name, evaluations, method].join())!)
    );
    console.log(`| ${name} | ${evaluations} | ${cells.join(" | ")} |`);
  }
}
