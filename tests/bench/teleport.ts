/**
 * What a teleport buys at an equal number of evaluations, and how many it saves at equal quality.
 *
 *   deno task bench:teleport [--data tiny-shapes:4096] [--denoiser optimal|mixture] [--samplers heun,dpmpp-2m,unipc,dpm-v3]
 *     [--evaluations 8,10,12,16,20,28,40] [--sigma auto|S] [--count 64] [--device wasm] [--limit N]
 *
 * Every run starts from the same noise at 80 on the Karras grid; with a teleport all steps are spent below. Errors are
 * distances, root mean square per number, from the end of a run of 320 steps of UniPC: medians over the samples, as a few of
 * them end at another item. `same` is the share of samples that end at the same item of the data as that
 * run. The last column is what a run without teleport would need for the quality with it, by interpolation: for the same
 * error, or of the optimal denoiser, whose ends are items, for as many of the same ends.
 */
import type { AnyTensor, Denoiser, DeviceKind, FirstLeg, Sampler } from "@closedform/diffusion";
import {
  cumulantNorms,
  dataSpectrum,
  dpmV3Statistics,
  energyDistance,
  gaussianLeg,
  karrasGrid,
  loadDataset,
  mixture,
  openDevice,
  optimal,
  respacedGrid,
  sample,
  samplerByName,
  skipEstimate,
  skipLevel,
  teleport,
  tensorSpace,
  unipc,
} from "@closedform/diffusion";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    data: { type: "string", default: "tiny-shapes:4096" },
    denoiser: { type: "string", default: "optimal" },
    samplers: { type: "string", default: "heun,dpmpp-2m,unipc,dpm-v3" },
    evaluations: { type: "string", default: "8,10,12,16,20,28,40" },
    sigma: { type: "string", default: "auto" },
    count: { type: "string", default: "64" },
    device: { type: "string", default: "wasm" },
    limit: { type: "string" },
  },
});

const limit = options.limit === undefined ? undefined : Number(options.limit);
const data = await loadDataset(options.data, { limit });
using device = await openDevice(options.device as DeviceKind);
using denoiser = options.denoiser === "mixture"
  ? await mixture(data, device, { rank: Math.min(64, data.dimension) })
  : await optimal(data, device);
const count = Number(options.count), d = data.dimension;
const spectrum = await dataSpectrum(data);
const norms = await cumulantNorms(data, spectrum);
const sigma = options.sigma === "auto"
  ? skipLevel(norms, 0.02 * Math.sqrt(d))
  : Number(options.sigma);
using leg = gaussianLeg(spectrum);
const { displacement } = skipEstimate(norms, sigma, 80);
console.log(
  `${data.summary()}, ${denoiser.label}, ${device.kind}\n` +
    `teleport to ${sigma.toFixed(2)}, predicted displacement ${
      (displacement / Math.sqrt(d)).toFixed(4)
    } per number`,
);

const items = new Float32Array(Math.min(1000, data.count) * d);
for (let i = 0; i * d < items.length; i++) items.set(data.values(i), i * d);

/** Where a run ends. */
async function endOf(sampler: Sampler, sigmas: readonly number[]): Promise<ArrayLike<number>> {
  const grid = { ...karrasGrid(2), sigmas };
  const { x, denoised } = await sample(denoiser as Denoiser<AnyTensor>, { count, sampler, grid });
  const values = await tensorSpace.values(x);
  tensorSpace.dispose(x, denoised);
  return values;
}

const exact = await endOf(unipc(), karrasGrid(320).sigmas);

/** Median error, share of the same ends, and energy distance to the data. */
function judge(end: ArrayLike<number>): [number, number, number] {
  const errors = Float64Array.from({ length: count }, (_, b) => {
    let square = 0;
    for (let c = b * d; c < (b + 1) * d; c++) square += (end[c] - exact[c]) ** 2;
    return Math.sqrt(square / d);
  });
  const same = errors.filter((error) => error < 1e-2).length / count;
  return [errors.toSorted()[count >> 1], same, energyDistance(end, items, d)];
}

/** Steps of a grid that ends at 0 for a number of evaluations. */
function stepsFor(name: string, evaluations: number): number {
  return name === "heun" ? Math.floor((evaluations + 1) / 2) : evaluations;
}

/** The evaluations at which a falling curve has a value, between its points by a power law. */
function needed(curve: readonly (readonly [number, number])[], value: number): string {
  const at = curve.findIndex(([, error]) => error <= value);
  if (at < 0) return `> ${curve[curve.length - 1][0]}`;
  if (at === 0) return `<= ${curve[0][0]}`;
  const [[a, high], [b, low]] = [curve[at - 1], curve[at]];
  return (a * (b / a) ** (Math.log(value / high) / Math.log(low / high))).toFixed(1);
}

async function samplerOf(name: string): Promise<Sampler> {
  if (name !== "dpm-v3") return samplerByName(name);
  const begin = performance.now();
  const statistics = await dpmV3Statistics(denoiser, data, { samples: 128 });
  console.log(`tables of dpm-v3: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  return samplerByName(name, { statistics });
}

async function compare(name: string, leg: FirstLeg): Promise<void> {
  const sampler = await samplerOf(name);
  const plain: [number, number][] = [], rows: string[][] = [];
  const jumps: number[] = [];
  for (const evaluations of options.evaluations.split(",").map(Number)) {
    const grid = karrasGrid(stepsFor(name, evaluations));
    const without = judge(await endOf(sampler, grid.sigmas));
    const jumping = teleport(sampler, leg, { sigma });
    const withIt = judge(await endOf(jumping, respacedGrid(grid, sigma).sigmas));
    const badness = ([error, same]: readonly number[]) =>
      options.denoiser === "optimal" ? 1 - same : error;
    plain.push([evaluations, badness(without)]);
    jumps.push(badness(withIt));
    rows.push([
      String(evaluations),
      ...[without, withIt].flatMap(([error, same, energy]) => [
        error.toExponential(2),
        same.toFixed(2),
        energy.toFixed(4),
      ]),
    ]);
  }
  console.log(
    `\n${name}: evaluations; error, same, energy without; with; without for the same quality`,
  );
  rows.forEach((row, i) => console.log([...row, needed(plain, jumps[i])].join("  ")));
}

for (const name of options.samplers.split(",")) await compare(name, leg);
